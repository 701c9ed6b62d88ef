"""Label files as spreadsheets and scripts save them: the same labels, or one line."""

from __future__ import annotations

import numpy as np
import pytest

from glee.errors import DataError
from glee.pipeline.datasets import bp4d, disfa, disfa_plus
from glee.pipeline.datasets.fec import TABLE
from glee.pipeline.datasets.label_files import read_intensity, read_occurrence
from glee.pipeline.datasets.label_rows import cell_number, table_lines

LEVELS = (0, 3, 5, 1)
PLAIN = "1,0\n2,3\n3,5\n4,1\n"
# How a file may be saved so that its rows mean the same.
SAVED = {
    "byte order mark": "\ufeff" + PLAIN,
    "Windows": PLAIN.replace("\n", "\r\n"),
    "old Macintosh": PLAIN.replace("\n", "\r"),
    "header": "frame,intensity\n" + PLAIN,
    "header of the AU": "\ufeffFrame;AU12\n" + PLAIN.replace(",", ";"),
    "two header lines": "# DISFA, coder A\nFrame,Intensity\n" + PLAIN,
    "header after a blank line": "\n  \nframe,intensity\n" + PLAIN,
    "header in another language": "Bild-Nr.;Intensität\n" + PLAIN.replace(",", ";"),
    "floats": "1.0,0.0\n2.0,3.0\n3.0,5.0\n4.0,1.0\n",
    "NumPy": "".join(f"{i:.18e},{level:.18e}\n" for i, level in enumerate(LEVELS, 1)),
    "semicolons": PLAIN.replace(",", ";"),
    "tabs": PLAIN.replace(",", "\t"),
    "blanks": PLAIN.replace(",", "   "),
    "comma and blank": PLAIN.replace(",", " , "),
    "quotes": '"frame","intensity"\n"1","0"\n"2","3"\n"3","5"\n"4","1"\n',
    "single quotes": "'1','0'\n'2','3'\n'3','5'\n'4','1'\n",
    "quoted in part": '1,"0"\n2,"3"\n3,"5"\n4,"1"\n',
    "commas at the end": PLAIN.replace("\n", ",,\n") + ",,\n",
    "semicolons at the end": PLAIN.replace(",", ";").replace("\n", ";\n"),
    "no end of the last line": PLAIN.rstrip(),
    "blank lines at the end": PLAIN + "\n   \n\n",
    "padded": "0001,00\n0002,03\n0003,05\n0004,01\n",
}
REFUSED = {
    "1_1": PLAIN.replace("1,0", "1_1,0", 1),
    "underscore in a code": PLAIN.replace("2,3", "2,0_3"),
    "half": PLAIN.replace("2,3", "2,3.5"),
    "empty code": PLAIN.replace("2,3", "2,"),
    "word": PLAIN.replace("2,3", "2,three"),
    "damaged first row": PLAIN.replace("1,0", "x,0", 1),
    "letter for a digit": PLAIN.replace("1,0", "l,0", 1),
    "three columns": PLAIN.replace("2,3", "2,3,0"),
    "comma for the point": PLAIN.replace(",", ";").replace("2;3", "2;3,0"),
    "thousands": '"1,000",0\n',
    "two in a line": "1,0 2,3\n3,5\n4,1\n",
    "another AU's header": "frame,AU4\n" + PLAIN,
    "swapped columns": "intensity,frame\n0,1\n3,2\n5,3\n1,4\n",
    "infinity": PLAIN.replace("2,3", "2,inf"),
    "large exponent": PLAIN.replace("2,3", "2,1e99"),
}


def readers(path, text):
    """The codes that each reader finds in a file of these rows."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    yield lambda: disfa.read_label_file(path, 12)
    yield lambda: disfa_plus.read_label_file(path, 12).values[:, 0]
    yield lambda: read_intensity(path, 12).values[:, 0]


@pytest.mark.parametrize("kind", SAVED)
def test_saved_otherwise(tmp_path, kind):
    for read in readers(tmp_path / "au12.txt", SAVED[kind]):
        assert read().tolist() == list(LEVELS)


def test_saved_as_unicode_text(tmp_path):
    for read in readers(tmp_path / "au12.txt", PLAIN.replace(",", "\t").encode("utf-16")):
        assert read().tolist() == list(LEVELS)


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line(tmp_path, kind):
    swapped = kind == "swapped columns"
    for read in list(readers(tmp_path / "au12.txt", REFUSED[kind]))[: 1 if swapped else 3]:
        with pytest.raises(DataError, match=r"au12\.txt, line \d") as caught:
            read()
        assert len(str(caught.value).splitlines()) == 1


def test_another_aus_header_is_named(tmp_path):
    path = tmp_path / "SN001_au12.txt"
    path.write_text("frame,AU4\n1,0\n")
    with pytest.raises(DataError, match="found AU 4, expected AU 12 as in the file's name"):
        disfa.read_label_file(path, 12)


HEADERS = {
    "as distributed": "0," + ",".join(map(str, bp4d.AUS)),
    "word": "frame," + ",".join(map(str, bp4d.AUS)),
    "names": "Frame," + ",".join(f"AU{au:02d}" for au in bp4d.AUS),
    "names with blanks": "," + ",".join(f"au {au}" for au in bp4d.AUS),
    "floats": "0.0," + ",".join(f"{au}.0" for au in bp4d.AUS),
    "quotes": ",".join(f'"{cell}"' for cell in (0, *bp4d.AUS)),
    "line above": "occurrence of AUs\n0," + ",".join(map(str, bp4d.AUS)),
    "commas at the end": "0," + ",".join(map(str, bp4d.AUS)) + ",,",
}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("kind", HEADERS)
def test_headers_of_bp4d(tmp_path, kind, separator):
    codes = [[0, 1, 9, *[0] * 9], [1, 0, 0, *[9] * 9]]
    rows = "".join(
        f"{n}.0,{','.join(map(str, row))},\n" for n, row in zip((7, 9), codes, strict=True)
    )
    path = tmp_path / "F001_T1.csv"
    path.write_text(f"\ufeff{HEADERS[kind]}\n{rows}".replace(",", separator), encoding="utf-8")
    found = read_occurrence(path, bp4d.AUS)
    assert found.frames.tolist() == [7, 9]
    np.testing.assert_array_equal(found.values, np.where(np.array(codes) == 9, -1, codes))


def test_a_column_of_row_numbers_is_not_taken_for_frames(tmp_path):
    """As pandas writes a table with its index."""
    path = tmp_path / "F001_T1.csv"
    names = ",".join(map(str, bp4d.AUS))
    path.write_text(f",0,{names}\n0,7,{'0,' * 12}\n")
    with pytest.raises(DataError, match="line 1: .* is no header row"):
        read_occurrence(path, bp4d.AUS)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("1.0", 1), ("1.", 1), ("1.000e+02", 100), ("007", 7), ("0", 0), ("+3", 3)]
    + [(text, None) for text in ("1_1", "1.5", "-1", "", " 1", "1e99", "nan", "1,0", "\u0663")]
    + [("1e-1", None), ("9" * 10, None), ("1e9", None), ("0x1", None)],
)
def test_numbers_of_tables(text, number):
    assert cell_number(text) == number


def test_tables_of_urls_begin_behind_a_byte_order_mark(tmp_path):
    path = tmp_path / TABLE.format(split="train")
    path.write_bytes("\ufeffhttp://x/a.jpg,a.jpg\n".encode())
    assert list(table_lines(path)) == ["http://x/a.jpg,a.jpg"]
