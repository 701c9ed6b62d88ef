"""FEC: rows, votes, images of URLs, and the triplets that survive down to the shards."""

from __future__ import annotations

import hashlib
import json

import cv2
import h5py
import numpy as np
import pytest

from glee.errors import DataError
from glee.pipeline.datasets import fec, find_content, open_dataset
from glee.pipeline.datasets.downloaded_images import files_of_urls, read_url_table
from glee.pipeline.datasets.fec import TRIPLET_TYPES, parse_row
from glee.pipeline.datasets.triplets import TRIPLET_FILE, read_triplets, shard_triplets
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import read_shard

URLS = [f"http://photos.example/{name}.jpg" for name in "abc"]


def row(votes=(1, 1, 2), kind="ONE_CLASS_TRIPLET", urls=URLS, box="0.1,0.4,0.2,0.6"):
    cells = [f"{url},{box}" for url in urls] + [kind]
    return ",".join(cells + [f"person {i},{vote}" for i, vote in enumerate(votes)])


def test_a_row_of_the_table():
    triplet = parse_row(row())
    assert [face.url for face in triplet.faces] == URLS
    assert triplet.faces[0].box == (0.1, 0.4, 0.2, 0.6)
    assert (triplet.kind, triplet.votes, triplet.odd) == (0, (2, 1, 0), 0)


def test_rows_may_be_padded_or_quoted():
    assert parse_row(row() + ",,,") == parse_row(row())
    quoted = ",".join(f'"{cell}"' for cell in row().split(","))
    assert parse_row(quoted) == parse_row(row())
    comma = parse_row(row().replace(URLS[0], '"http://photos.example/a,b.jpg"'))
    assert comma.faces[0].url == "http://photos.example/a,b.jpg"


@pytest.mark.parametrize("mark", [";", "\t"])
def test_rows_with_other_separators_and_numbers(mark):
    """A comma in a URL is no separator there."""
    urls = [url.replace("photos", "photos,large") for url in URLS]
    plain = row(urls=["A", "B", "C"]).replace(",", mark)
    for letter, url in zip("ABC", urls, strict=True):
        plain = plain.replace(f"{letter}{mark}", f"{url}{mark}", 1)
    triplet = parse_row(plain)
    assert [face.url for face in triplet.faces] == urls
    assert parse_row(row(votes=("1.0", "1", "2.0"))) == parse_row(row())


@pytest.mark.parametrize(
    ("votes", "odd"), [((3, 3, 2, 1), 2), ((1, 2), None), ((1, 2, 3), None), ((2,), 1)]
)
def test_majority_and_ties(votes, odd):
    assert parse_row(row(votes)).odd == odd


@pytest.mark.parametrize(
    "line",
    [
        "",
        row().replace("0.1", "x", 1),
        row().replace("0.1", "nan", 1),
        row().replace("0.1", "0.4", 1),
        row().replace("0.1", "-3", 1),
        row().replace("http://", ""),
        row(kind="NO_TRIPLET"),
        row(votes=()),
        row(votes=(0,)),
        row(votes=(4,)),
        row(votes=("",)),
        row(votes=("1.5",)),
        row(votes=("0_1",)),
        row().replace("0.1", "0_1", 1),
        row().replace("0.1", "\u0660.1", 1),
        row() + ",person 9",
        row()[:60],
        row(urls=[URLS[0]] * 3),
        '"' + row(),
    ],
)
def test_malformed_rows(line):
    assert parse_row(line) is None


def make(root, rows, images=("a.jpg", "b.jpg", "c.jpg"), split="train"):
    (root / fec.TABLE.format(split=split)).write_text("\n".join(rows) + "\n")
    for name in images:
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".jpg", np.full((40, 30, 3), 90, np.uint8))[1].tobytes())


def test_faces_are_numbered_by_first_mention_whatever_is_there(tmp_path):
    urls = [f"http://photos.example/{name}.jpg" for name in "dabc"]
    make(tmp_path, [row(urls=urls[:3]), "broken", row(urls=urls[1:]), row((1, 2), urls=urls[1:])])
    content = find_content("fec", tmp_path)
    assert content.counts == {
        "rows": 4,
        "malformed rows": 1,
        "ties": 1,
        "images": 4,
        "dead images": 1,
        "triplets with a dead image": 1,
        "triplets": 1,
    }
    clip = content.clips[0].read()
    assert (clip.subject, clip.name) == ("train", "000000")
    assert (clip.frame_ids, clip.images) == ((1, 2, 3), ("a.jpg", "b.jpg", "c.jpg"))
    (tmp_path / "t.h5").write_bytes(content.files[TRIPLET_FILE])
    table = read_triplets(tmp_path / "t.h5")["train"]
    assert table.faces.tolist() == [[1, 2, 3]]
    assert (table.odd.tolist(), table.kinds) == ([0], TRIPLET_TYPES)


def test_one_photograph_with_two_faces(tmp_path):
    two = row().split(",")
    two[5:10] = [URLS[0], "0.5", "0.9", "0.2", "0.6"]
    make(tmp_path, [",".join(two)])
    (clip,) = open_dataset("fec", tmp_path)
    assert clip.images == ("a.jpg", "a.jpg", "c.jpg")
    assert len(set(clip.boxes)) == 2


def test_nothing_survives(tmp_path):
    with pytest.raises(DataError, match="no triplet of"):
        open_dataset("fec", tmp_path)
    make(tmp_path, [row()], images=("a.jpg",))
    with pytest.raises(DataError, match="has its three images in"):
        open_dataset("fec", tmp_path)


def test_a_table_of_something_else(tmp_path):
    make(tmp_path, ["url|left|right", "http://x/a.jpg|0.1|0.4"])
    with pytest.raises(DataError, match="none of its 2 rows is as distributed, first 'url"):
        open_dataset("fec", tmp_path)


def test_byte_order_mark_of_a_table(tmp_path):
    make(tmp_path, [row()])
    path = tmp_path / fec.TABLE.format(split="train")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    (clip,) = open_dataset("fec", tmp_path)
    assert clip.images == ("a.jpg", "b.jpg", "c.jpg")
    table = tmp_path / "map.csv"
    table.write_bytes("\ufeff".encode() + f"{URLS[0]}\ta,1.jpg\n".encode())
    assert read_url_table(table) == {URLS[0]: "a,1.jpg"}


def test_images_in_linked_folders_are_found_and_loops_end(tmp_path):
    make(tmp_path, [row()])
    (tmp_path / "images").rename(tmp_path / "disk")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "part1").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "images")
    (clip,) = open_dataset("fec", tmp_path)
    assert clip.images == ("part1/a.jpg", "part1/b.jpg", "part1/c.jpg")


def test_files_by_name_hash_and_table(tmp_path):
    urls = ["http://x/1/a.jpg", "http://x/2/a.jpg", "http://x/b.png?size=2", "http://x/dead.jpg"]
    digest = hashlib.md5(urls[1].encode()).hexdigest()
    for name in ("a.jpg", f"sub/{digest}.jpeg", "b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "dead.jpg").write_bytes(b"")
    # a.jpg could be either of two URLs, so it is neither.
    assert files_of_urls(urls, tmp_path, None) == {
        urls[1]: f"sub/{digest}.jpeg",
        urls[2]: "b.png",
    }
    table = tmp_path / "map.csv"
    table.write_text(f"url,file\n{urls[0]},a.jpg\n{urls[3]},gone.jpg\n")
    assert files_of_urls(urls, tmp_path, table) == {urls[0]: "a.jpg"}
    table = tmp_path / "map.json"
    table.write_text(json.dumps({urls[0]: f"sub/{digest}.jpeg"}))
    assert files_of_urls(urls, tmp_path, table) == {urls[0]: f"sub/{digest}.jpeg"}


@pytest.mark.parametrize("file", ["/etc/passwd", "../a.jpg", "x/../../a.jpg", "C:\\a.jpg", ""])
def test_tables_do_not_lead_out_of_the_folder(tmp_path, file):
    table = tmp_path / "map.json"
    table.write_text(json.dumps({"http://x/a.jpg": file}))
    with pytest.raises(DataError, match="is not a path below the image folder"):
        read_url_table(table)


@pytest.mark.parametrize(
    ("name", "text"),
    [("m.json", "{"), ("m.json", "[1]"), ("m.json", '{"a": 1}'), ("m.csv", "http://x\nfile\n")],
)
def test_tables_that_are_none(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=name):
        read_url_table(tmp_path / name)


def test_from_photographs_to_triplets_in_shards(synthetic_fec, tmp_path):
    truth = json.loads((synthetic_fec / "truth" / "fec.json").read_text())
    content = find_content("fec", synthetic_fec)
    for name in ("rows", "malformed rows", "ties", "triplets with a dead image", "dead images"):
        assert content.counts[name] == sum(part[name] for part in truth.values()), name
    assert min(content.counts.values()) > 0
    assert content.counts["triplets"] == truth["train"]["triplets"] + truth["test"]["triplets"]

    preprocess("fec", synthetic_fec, tmp_path, workers=1, progress=False)
    found = shard_triplets(tmp_path)
    assert len(found.table) + found.left_out == truth["train"]["triplets"]
    shard = read_shard(found.shards[0])
    seen = shard.frames.frame_id[shard.frames.valid]
    whole = read_triplets(tmp_path / TRIPLET_FILE)["train"]
    assert len(found.table) == np.isin(whole.faces, seen).all(1).sum() > 10
    assert shard.header.frame_size == (320, 320)
    # The odd one is the one outside the closest pair of true expressions.
    clip = next(c for c in open_dataset("fec", synthetic_fec) if c.subject == "train")
    with h5py.File(synthetic_fec / "truth" / "fec.h5") as file:
        files = [name.decode() for name in file["train/file"][()]]
        f_exp = file["train/f_exp"][()]
    of_frame = [files.index(name) for name in clip.images]
    for index in range(len(found.table)):
        a, b, c = (f_exp[of_frame[row]] for row in found.row[index])
        apart = [np.linalg.norm(b - c), np.linalg.norm(a - c), np.linalg.norm(a - b)]
        assert found.table.odd[index] == np.argmin(apart)
    # Each face is in the middle of its own frame.
    valid = shard.frames.valid
    assert valid.mean() > 0.7
    assert (np.abs(shard.frames.landmarks[valid].mean(1) - 160) < 60).all()


def test_dead_images_found_only_when_decoded_leave_their_triplets_out(
    synthetic_fec, damaged, tmp_path
):
    root = damaged(synthetic_fec)
    clip = next(c for c in open_dataset("fec", root) if c.subject == "train")
    preprocess("fec", root, tmp_path / "whole", workers=1, progress=False)
    before = shard_triplets(tmp_path / "whole")
    gone = before.table.faces[0, 0]
    file = clip.images[clip.frame_ids.index(gone)]
    (clip.source / file).write_bytes(b"<html>gone</html>")
    preprocess("fec", root, tmp_path / "work", workers=1, progress=False)
    found = shard_triplets(tmp_path / "work")
    expected = int((before.table.faces == gone).any(1).sum())
    assert found.left_out - before.left_out == expected > 0


@pytest.mark.parametrize("cut", [0, 100, 2000])
def test_triplet_file_cut(tmp_path, cut):
    make(tmp_path, [row()])
    content = find_content("fec", tmp_path)
    path = tmp_path / TRIPLET_FILE
    path.write_bytes(content.files[TRIPLET_FILE][:cut])
    with pytest.raises(DataError, match="cannot be used as a table of triplets"):
        read_triplets(path)
    path.unlink()
    with pytest.raises(DataError, match="no such table of triplets"):
        read_triplets(path)
