"""BP4D and BP4D+: coded frames only, 9 is unknown, columns by number, explicit offsets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from glee.errors import DataError, UsageError
from glee.pipeline.datasets import bp4d, bp4d_plus, find_content, open_dataset
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import list_shards, read_shard
from glee.pipeline.synthesis.clips import read_truth

HEADER = [0, *range(1, 29)]


def write_clip(root, subject="F001", task="T1", rows=((10, {}), (11, {1: 1})), images=(10, 11)):
    """Occurrence codes (0 where not given) and empty images with these numbers or names."""
    path = root / "AUCoding" / "AU_OCC" / f"{subject}_{task}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [HEADER, *([frame, *(codes.get(au, 0) for au in HEADER[1:])] for frame, codes in rows)]
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    folder = root / subject / task
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        (folder / (image if isinstance(image, str) else f"{image}.jpg")).write_bytes(b"")
    return path


def test_facts():
    assert (len(bp4d.SUBJECTS), len(bp4d_plus.SUBJECTS)) == (41, 140)
    assert sorted(sum(bp4d.FOLDS, ())) == sorted(bp4d.SUBJECTS)
    assert bp4d.AUS == (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
    assert bp4d.INTENSITY_AUS == (6, 10, 12, 14, 17)
    assert [len(fold) for fold in bp4d.FOLDS] == [14, 14, 13]


def test_split_of_bp4d_plus_is_exclusive_even_and_does_not_change():
    assert sorted(sum(bp4d_plus.FOLDS, ())) == sorted(bp4d_plus.SUBJECTS)
    assert sorted(len(fold) for fold in bp4d_plus.FOLDS) == [46, 47, 47]
    men = [sum(name.startswith("M") for name in fold) for fold in bp4d_plus.FOLDS]
    assert max(men) - min(men) <= 1
    assert bp4d_plus.FOLDS[0][:4] == ("F001", "F003", "F008", "F010")


def test_only_coded_frames_in_any_way_of_writing_numbers(tmp_path):
    all_nines = dict.fromkeys(HEADER[1:], 9)
    rows = ((98, {1: 1}), (99, {4: 9}), (100, all_nines), (101, {24: 1}))
    write_clip(tmp_path, rows=rows, images=("0097.jpg", "0098.jpg", "99.JPG", "100.jpg", "101.png"))
    (clip,) = open_dataset("bp4d", tmp_path)
    assert clip.images == ("0098.jpg", "99.JPG", "101.png")
    assert clip.frame_ids == (98, 99, 101)
    assert (clip.subject, clip.name, clip.labels.kind) == ("F001", "T1", "occurrence")
    assert clip.labels.au_names == tuple(f"AU{au}" for au in bp4d.AUS)
    expected = np.zeros((3, 12), np.int8)
    expected[0, 0], expected[1, 2], expected[2, 11] = 1, -1, 1
    np.testing.assert_array_equal(clip.labels.values, expected)


def test_columns_are_found_by_number(tmp_path):
    path = write_clip(tmp_path)
    aus = [24, 23, 17, 15, 14, 12, 10, 7, 6, 4, 2, 1]
    path.write_text(
        f"0,{','.join(map(str, aus))}\n10,{','.join('1' if a == 12 else '0' for a in aus)}\n"
    )
    (clip,) = open_dataset("bp4d", tmp_path)
    assert clip.labels.values.tolist() == [[int(au == 12) for au in bp4d.AUS]]


@pytest.mark.parametrize(
    ("images", "offset"), [((9, 10), -1), ((11, 12), 1), ((10, 12), None), ((310, 311), 300)]
)
def test_missing_image_tells_the_offset_that_fits(tmp_path, images, offset):
    write_clip(tmp_path, images=images)
    told = "no offset matches all" if offset is None else f"frame_offset {offset} would match all"
    with pytest.raises(DataError, match=told) as caught:
        open_dataset("bp4d", tmp_path)
    assert "F001_T1.csv: frame 1" in str(caught.value)
    if offset is not None:
        (clip,) = open_dataset("bp4d", tmp_path, frame_offset=offset)
        assert clip.frame_ids == images


def test_two_images_with_one_number(tmp_path):
    write_clip(tmp_path, images=("10.jpg", "0010.jpg", "11.jpg"))
    with pytest.raises(DataError, match=r"0010\.jpg and 10\.jpg are both image 10"):
        open_dataset("bp4d", tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("0,1,2", "0,1,1"), "two columns of AU 1"),
        (("0,1,2", "0,3,2"), "no column of AU 1"),
        (("0,1,2", "1,1,2"), "no header row"),
        (("0,1,2", "0,1,x"), "no header row"),
        (("0,1,2", "0,0,2"), "no header row"),
        (("\n11,1", "\n11,2"), "line 3: code '2' is not 0 to 1 or 9"),
        (("\n11,1", "\n11,"), "line 3: code '' is not"),
        (("\n11,1", "\n11,-1"), "line 3: code '-1' is not"),
        (("\n11,1", "\n11,1,1"), "line 3: 30 columns where the header has 29"),
        (("\n11,1", "\n10,1"), "line 3: frame 10 after 10"),
        (("\n11,1", "\n9,1"), "line 3: frame 9 after 10"),
        (("\n11,1", "\nx,1"), "line 3: 'x' is no frame number"),
        (("\n11,1", "\n\u0661,1"), "line 3: '\u0661' is no frame number"),
        (("\n11,1", "\n1_1,1"), "line 3: '1_1' is no frame number"),
        (("\n11,1", "\n11,0_1"), "line 3: code '0_1' is not"),
        (("\n11,1", "\n1.5,1"), "line 3: '1.5' is no frame number"),
    ],
)
def test_wrong_csv(tmp_path, change, complaint):
    path = write_clip(tmp_path)
    path.write_text(path.read_text().replace(*change, 1), encoding="utf-8")
    with pytest.raises(DataError, match=rf"F001_T1\.csv.*{complaint}"):
        open_dataset("bp4d", tmp_path)


def middle_of_a_clip(root, images=range(26)):
    """Rows 1 to 26, coded 4 to 23; each coded frame has an image under offset 0 too."""
    nines = dict.fromkeys(HEADER[1:], 9)
    rows = tuple((n, {1: n % 2} if 4 <= n <= 23 else nines) for n in range(1, 27))
    return write_clip(root, rows=rows, images=images)


def test_rows_that_are_not_coded_show_a_shift(tmp_path):
    middle_of_a_clip(tmp_path)
    with pytest.raises(DataError, match="frame_offset -1 would match all") as caught:
        open_dataset("bp4d", tmp_path)
    assert "F001_T1.csv: frame 26 has no image 26" in str(caught.value)
    assert "1 of 26 rows have none" in str(caught.value)
    (clip,) = open_dataset("bp4d", tmp_path, frame_offset=-1)
    assert clip.frame_ids == tuple(range(3, 23))
    assert clip.notes == ()


def test_a_shift_where_images_are_lost_too(tmp_path):
    middle_of_a_clip(tmp_path, images=range(25))
    with pytest.raises(DataError, match="frame_offset -1 would match 25 of 26"):
        open_dataset("bp4d", tmp_path)


def test_lost_images_of_rows_that_are_not_coded_are_noted(tmp_path):
    middle_of_a_clip(tmp_path, images=range(2, 26))
    (clip,) = open_dataset("bp4d", tmp_path)
    assert clip.frame_ids == tuple(range(4, 24))
    (note,) = clip.notes
    assert "2 rows that are not coded have no image, first 1" in note


def test_intensities_are_held_against_all_rows_of_the_clip(tmp_path):
    middle_of_a_clip(tmp_path)
    for au in bp4d.INTENSITY_AUS:
        path = bp4d.intensity_path(tmp_path / "AUCoding", "F001", "T1", au)
        path.parent.mkdir(parents=True)
        path.write_text("".join(f"{n},{n % 6}\n" for n in range(4, 24)))
    with pytest.raises(DataError, match="frame_offset -1 would match all"):
        open_dataset("bp4d", tmp_path, labels="intensity")
    (clip,) = open_dataset("bp4d", tmp_path, labels="intensity", frame_offset=-1)
    assert clip.labels.values[0].tolist() == [4] * 5


def test_intensities(tmp_path):
    write_clip(tmp_path, images=(10, 11, 12))
    for au in bp4d.INTENSITY_AUS:
        path = tmp_path / "AUCoding" / "AU_INT" / f"AU{au:02d}" / f"F001_T1_AU{au:02d}.csv"
        path.parent.mkdir(parents=True)
        path.write_text(f"0,{au}\n10,5\n11,9\n" + ("12,3\n" if au == 17 else ""))
    (clip,) = open_dataset("bp4d", tmp_path, labels="intensity")
    assert clip.labels.kind == "intensity"
    assert clip.labels.au_names == ("AU6", "AU10", "AU12", "AU14", "AU17")
    assert clip.frame_ids == (10, 12)
    assert clip.labels.values.tolist() == [[5, 5, 5, 5, 5], [-1, -1, -1, -1, 3]]
    path.write_text("10,6\n")
    with pytest.raises(DataError, match=r"AU17\.csv, line 1: code '6' is not 0 to 5 or 9"):
        open_dataset("bp4d", tmp_path, labels="intensity")
    path.unlink()
    with pytest.raises(DataError, match=r"AU17\.csv: label file is missing"):
        open_dataset("bp4d", tmp_path, labels="intensity")


def test_parts_of_the_dataset_and_what_is_not_used(tmp_path):
    write_clip(tmp_path)
    write_clip(tmp_path, "M018", "T8")
    write_clip(tmp_path, "M001", "T2", images=())
    (tmp_path / "M001" / "T2").rmdir()
    write_clip(tmp_path, "F099", "T1")
    (tmp_path / "F001" / "T5").mkdir()
    content = find_content("bp4d", tmp_path)
    assert [(clip.subject, clip.name) for clip in content.clips] == [("F001", "T1"), ("M018", "T8")]
    assert len(content.missing) == 1
    assert "M001/T2" in content.missing[0]
    assert [("F099" in line, "T5" in line) for line in content.surplus] == [
        (False, True),
        (True, False),
    ]


def test_images_in_a_folder_of_their_own(tmp_path):
    write_clip(tmp_path)
    (tmp_path / "2D").mkdir()
    (tmp_path / "F001").rename(tmp_path / "2D" / "F001")
    (clip,) = open_dataset("bp4d", tmp_path)
    assert clip.relative_source == "2D/F001/T1"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "AUCoding").rename(elsewhere / "AUCoding")
    with pytest.raises(DataError, match="no clip with labels and images"):
        open_dataset("bp4d", elsewhere)
    (clip,) = open_dataset("bp4d", elsewhere, images=tmp_path / "2D")
    assert clip.relative_source == "F001/T1"


def test_options_that_make_no_sense(tmp_path):
    write_clip(tmp_path)
    with pytest.raises(UsageError, match="labels is 'both'"):
        open_dataset("bp4d", tmp_path, labels="both")
    with pytest.raises(
        UsageError, match="bp4d has no option url_map; its options are frame_offset"
    ):
        open_dataset("bp4d", tmp_path, url_map="x")
    with pytest.raises(UsageError, match="folder has no option frame_offset; it has none"):
        open_dataset("folder", tmp_path, frame_offset=1)
    assert open_dataset("bp4d", tmp_path, url_map=None)


def test_from_images_to_shards_against_the_truth(synthetic_bp4d, tmp_path):
    preprocess("bp4d", synthetic_bp4d, tmp_path, workers=1, progress=False)
    shards = [read_shard(path) for path in list_shards(tmp_path)]
    assert len(shards) == 2
    for shard in shards:
        name = f"{shard.header.subject}_{shard.header.clip}"
        truth = read_truth(synthetic_bp4d / "truth" / f"{name}.h5")
        listed = json.loads((synthetic_bp4d / "truth" / f"{name}.json").read_text())
        assert shard.frames.frame_id.tolist() == listed["coded"]
        rows = [listed["numbers"].index(number) for number in listed["coded"]]
        expected = truth.intensity[rows] >= 2
        known = shard.labels >= 0
        assert 0.9 < known.mean() < 1
        np.testing.assert_array_equal(shard.labels[known], expected[known])
        assert shard.frames.valid.mean() > 0.9
        valid = shard.frames.valid
        points = truth.landmarks["mesh"][rows][valid]
        off = np.linalg.norm(shard.frames.landmarks[valid] - points, axis=-1)
        eyes = np.linalg.norm(points[:, 36] - points[:, 45], axis=-1)
        assert np.median(off / eyes[:, None]) < 0.06


def test_offset_is_an_option_of_the_work_folder(tmp_path, synthetic_bp4d, damaged):
    root = damaged(synthetic_bp4d)
    for path in sorted((root / "F001" / "T1").iterdir()):
        path.rename(path.with_name(f"x{int(path.stem) + 1}.jpg"))
    for path in (root / "F001" / "T1").iterdir():
        path.rename(path.with_name(path.name[1:]))
    for path in (root / "AUCoding" / "AU_OCC").glob("*_T2.csv"):
        path.unlink()
    options = PreprocessOptions(chunk_frames=4)
    work = tmp_path / "work"
    preprocess(
        "bp4d",
        root,
        work,
        options=options,
        workers=1,
        progress=False,
        dataset_options={"frame_offset": 1, "labels": None},
    )
    assert "frame_offset = 1" in (work / "glee.toml").read_text()
    first = read_shard(list_shards(work)[0])
    assert first.header.options["frame_offset"] == 1
    listed = json.loads((root / "truth" / "F001_T1.json").read_text())
    assert first.frames.frame_id.tolist() == [number + 1 for number in listed["coded"][:4]]


def test_split_of_bp4d_plus_goes_into_the_work_folder(tmp_path):
    write_clip(tmp_path, "F082", "T6")
    content = find_content("bp4d-plus", tmp_path)
    split = json.loads(content.files["folds.json"])
    assert split == {str(i): list(fold) for i, fold in enumerate(bp4d_plus.FOLDS, start=1)}
    write_clip(tmp_path, "F082", "T2")
    assert [clip.name for clip in find_content("bp4d-plus", tmp_path).clips] == ["T6"]
