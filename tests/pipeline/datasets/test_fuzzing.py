"""Whatever is in a label or table file, a parser returns something sensible or raises GleeError."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glee.errors import GleeError
from glee.pipeline.datasets import bp4d, disfa, disfa_plus
from glee.pipeline.datasets.downloaded_images import read_url_table
from glee.pipeline.datasets.fec import parse_row
from glee.pipeline.datasets.label_files import read_intensity, read_occurrence
from glee.pipeline.datasets.label_rows import MAXIMUM_LINE, table_lines
from glee.pipeline.datasets.triplets import TripletTable, encode_triplets, read_triplets

FAST = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
CELL = st.one_of(
    st.integers(-3, 12).map(str),
    st.sampled_from(
        ["", " ", "9", "0", "1.0", "nan", "1e9", "9" * 30, "\u0663", "x", '"', "\0", "1_0"]
    ),
)
TABLE = st.lists(st.lists(CELL, max_size=16).map(",".join), max_size=12).map("\n".join)
CONTENT = st.one_of(st.binary(max_size=300), TABLE.map(lambda text: text.encode()))
HEADER = ",".join(map(str, [0, *bp4d.AUS]))


def attempt(parse, path, content):
    path.write_bytes(content)
    try:
        return parse(path)
    except GleeError as error:
        message = str(error)
    assert "\n" not in message
    assert path.name in message
    return None


@FAST
@given(content=CONTENT, with_header=st.booleans())
def test_occurrence(tmp_path, content, with_header):
    if with_header:
        content = HEADER.encode() + b"\n" + content
    codes = attempt(lambda p: read_occurrence(p, bp4d.AUS), tmp_path / "o.csv", content)
    if codes is not None:
        assert codes.values.shape == (len(codes.frames), len(bp4d.AUS))
        assert np.isin(codes.values, (-1, 0, 1)).all()
        assert (np.diff(codes.frames) > 0).all()


@FAST
@given(content=CONTENT)
def test_intensity(tmp_path, content):
    codes = attempt(lambda p: read_intensity(p, 6), tmp_path / "i.csv", content)
    if codes is not None:
        assert np.isin(codes.values, range(-1, 6)).all()
        assert (np.diff(codes.frames) > 0).all()


@FAST
@given(content=CONTENT)
@pytest.mark.parametrize("name", ["disfa", "disfa-plus"])
def test_label_files(tmp_path, name, content):
    if name == "disfa":
        values = attempt(lambda p: disfa.read_label_file(p, 1), tmp_path / "au1.txt", content)
    else:
        codes = attempt(lambda p: disfa_plus.read_label_file(p, 1), tmp_path / "AU1.txt", content)
        values = None if codes is None else codes.values
    if values is not None:
        assert np.isin(values, range(6)).all()


@FAST
@given(
    rows=st.lists(st.tuples(st.integers(0, 10**9 - 1), st.integers(0, 5)), unique_by=lambda r: r[0])
)
def test_well_formed_files_come_back_as_they_were(tmp_path, rows):
    rows.sort()
    path = tmp_path / "i.csv"
    path.write_text("".join(f"{frame},{level}\n" for frame, level in rows))
    codes = read_intensity(path, 12)
    assert list(zip(codes.frames.tolist(), codes.values[:, 0].tolist(), strict=True)) == rows


@FAST
@given(line=st.one_of(st.text(max_size=200), st.lists(CELL, max_size=24).map(",".join)))
def test_rows_of_fec(line):
    triplet = parse_row(line)
    assert triplet is None or sum(triplet.votes) > 0


@FAST
@given(
    cells=st.lists(CELL, min_size=22, max_size=22),
    kept=st.lists(st.booleans(), min_size=22, max_size=22),
)
def test_nearly_right_rows_of_fec(cells, kept):
    face = ["http://x/{}.jpg", "0.1", "0.4", "0.2", "0.6"]
    right = [cell.format(i) for i in range(3) for cell in face]
    right += ["TWO_CLASS_TRIPLET", "a", "1", "b", "2", "c", "1"]
    line = ",".join(r if keep else c for r, c, keep in zip(right, cells, kept, strict=True))
    triplet = parse_row(line)
    if triplet is not None:
        for face_found in triplet.faces:
            left, end, top, bottom = face_found.box
            assert 0 <= left < end <= 1
            assert 0 <= top < bottom <= 1


@FAST
@given(content=CONTENT)
@pytest.mark.parametrize("name", ["map.csv", "map.json"])
def test_url_tables(tmp_path, name, content):
    found = attempt(read_url_table, tmp_path / name, content)
    for file in (found or {}).values():
        assert not file.startswith("/")
        assert ".." not in file.split("/")


def test_deep_json(tmp_path):
    assert attempt(read_url_table, tmp_path / "map.json", b"[" * 100_000) is None


def test_a_line_without_end_is_read_in_pieces(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"a" * (3 * MAXIMUM_LINE))
    assert [len(line) for line in table_lines(path)] == [MAXIMUM_LINE] * 3


@pytest.fixture(scope="module")
def triplet_bytes():
    count = 5
    table = TripletTable(
        np.arange(3 * count).reshape(count, 3),
        np.zeros(count, np.int8),
        np.zeros(count, np.int8),
        np.ones((count, 3), np.int16),
        ("ONE_CLASS_TRIPLET",),
    )
    return encode_triplets({"train": table})


@FAST
@given(data=st.data())
def test_triplet_files_with_wrong_bytes(tmp_path, triplet_bytes, data):
    content = bytearray(triplet_bytes)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    tables = attempt(read_triplets, tmp_path / "t.h5", bytes(content))
    for table in (tables or {}).values():
        assert table.faces.shape == (len(table.odd), 3)
