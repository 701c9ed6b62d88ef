"""Verification finds what is missing, surplus, misnumbered, altered or swapped, and says so."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from glee.errors import ShardError, UsageError
from glee.fitting.assets.blendshapes import ARKIT_NAMES
from glee.pipeline.datasets import disfa as disfa_facts
from glee.pipeline.label_agreement import LabelledClip, label_agreement
from glee.pipeline.preprocess import PreprocessOptions, preprocess
from glee.pipeline.shards import (
    FitArrays,
    FrameArrays,
    ShardHeader,
    add_fit,
    list_shards,
    read_shard,
    write_shard,
)
from glee.pipeline.synthesis import read_truth
from glee.pipeline.synthetic_motion import random_motion
from glee.pipeline.verification import verify_dataset, verify_shards
from glee.pipeline.work_folder import read_options

FPS = 20.0


def kinds(report, *, wrong=True):
    return {problem.kind for problem in report.problems if problem.wrong == wrong}


def said(report):
    return "\n".join(report.lines())


@pytest.fixture(scope="module")
def made(synthetic_disfa, tmp_path_factory):
    """Shards of the synthetic DISFA, five a clip; never written to."""
    work = tmp_path_factory.mktemp("work")
    options = PreprocessOptions(chunk_frames=8)
    preprocess("disfa", synthetic_disfa, work, options=options, workers=1, progress=False)
    return work


@pytest.fixture
def work(made, tmp_path):
    return shutil.copytree(made, tmp_path / "work")


def test_a_dataset_in_order(synthetic_disfa):
    report = verify_dataset("disfa", synthetic_disfa)
    assert report.ok
    assert [(s.subject, s.clips, s.frames, s.labelled) for s in report.subjects] == [
        ("SN001", 1, 36, 36),
        ("SN006", 1, 36, 36),
    ]
    truth = [read_truth(path) for path in sorted((synthetic_disfa / "truth").iterdir())]
    intensity = np.concatenate([one.intensity for one in truth])
    for column, row in enumerate(report.aus):
        assert row.name == f"AU{disfa_facts.AUS[column]}"
        assert row.present == pytest.approx((intensity[:, column] >= 2).mean())
        assert sum(row.levels.values()) == 72
    assert "scaled to the labels' median" in said(report)
    assert "2 of 27 subjects" in said(report)
    assert json.loads(json.dumps(report.as_json()))["ok"] is True


def test_every_trouble_of_a_dataset_is_listed(disfa):
    disfa_facts.label_path(disfa, "SN001", 12).unlink()
    path = disfa_facts.label_path(disfa, "SN006", 4)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:30]))
    (disfa / "ActionUnit_Labels" / "SN002").mkdir()
    (disfa / "Videos_LeftCamera" / "other.avi").write_bytes(b"")
    report = verify_dataset("disfa", disfa)
    assert not report.ok
    assert kinds(report) == {"clip", "missing"}
    text = said(report)
    assert "SN001_au12.txt: label file is missing" in text
    assert "6 of 36 frames of LeftVideoSN006_comp.avi have no labels (SN006_au4.txt ends)" in text
    assert "no video of the labelled subject SN002" in text
    assert "note, surplus" in text
    assert "other.avi" in text


def test_labels_that_go_on_beyond_the_video(disfa):
    for au in disfa_facts.AUS:
        with disfa_facts.label_path(disfa, "SN001", au).open("a") as file:
            file.write("37,0\n")
    assert verify_dataset("disfa", disfa).ok
    for au in disfa_facts.AUS:
        with disfa_facts.label_path(disfa, "SN001", au).open("a") as file:
            file.write("38,0\n")
    report = verify_dataset("disfa", disfa)
    assert "2 rows of labels beyond the 36 frames" in said(report)
    assert not report.ok


def test_a_label_file_that_is_a_copy_of_another(disfa):
    for subject in ("SN001", "SN006"):
        shutil.copy(
            disfa_facts.label_path(disfa, subject, 1), disfa_facts.label_path(disfa, subject, 2)
        )
    report = verify_dataset("disfa", disfa)
    assert not report.ok
    assert "AU1 and AU2 are equal in every frame" in said(report)


def test_files_that_are_no_images_and_options(tmp_path):
    folder = tmp_path / "F001" / "T1"
    folder.mkdir(parents=True)
    header = ",".join(map(str, range(25)))
    rows = "".join(f"{n}{',0' * 24}\n" for n in (7, 8, 11))
    path = tmp_path / "AUCoding" / "AU_OCC" / "F001_T1.csv"
    path.parent.mkdir(parents=True)
    path.write_text(f"{header}\n{rows}")
    for number in (7, 8, 11):
        (folder / f"{number}.jpg").write_bytes(b"\xff\xd8\xff" if number > 7 else b"<html>")
    report = verify_dataset("bp4d", tmp_path)
    assert "1 of 3 files are no images, first 7.jpg" in said(report)
    assert "coded frames in 2 runs" in said(report)
    assert "AU1 is 0 in every frame" in said(report)
    assert kinds(report) == {"image"}
    (folder / "7.jpg").unlink()
    (folder / "9.jpg").write_bytes(b"")
    (folder / "12.jpg").write_bytes(b"")
    report = verify_dataset("bp4d", tmp_path)
    assert "frame_offset 1 would match all" in said(report)
    with pytest.raises(UsageError, match="no option speed"):
        verify_dataset("bp4d", tmp_path, dataset_options={"speed": 1})
    assert kinds(verify_dataset("disfa", tmp_path)) == {"dataset"}


def test_shards_in_order(made, synthetic_disfa):
    report = verify_shards(made, root=synthetic_disfa)
    assert report.ok, said(report)
    assert report.counts == {"shards": 10, "fitted": 0}
    assert [(s.subject, s.frames, s.labelled) for s in report.subjects] == [
        ("SN001", 36, 36),
        ("SN006", 36, 36),
    ]
    assert all(s.valid + sum(s.invalid.values()) == s.frames for s in report.subjects)


@pytest.mark.parametrize("position", [0.1, 0.4, 0.7, 0.95])
def test_every_altered_byte_of_content_is_found(work, position):
    path = list_shards(work)[3]
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 0x40
    path.write_bytes(content)
    try:
        same = read_shard(path)
    except ShardError:
        same = None
    # A byte in a gap of the file is no content.
    assert verify_shards(work).ok == (same is not None)


def test_shard_cut_missing_misplaced_and_strange_files(work):
    paths = list_shards(work)
    paths[1].write_bytes(paths[1].read_bytes()[:5000])
    paths[7].unlink()
    (paths[0].parent / ".000001.h5.12.partial").write_bytes(b"")
    (paths[0].parent / "notes.txt").write_bytes(b"")
    report = verify_shards(work)
    text = said(report)
    assert kinds(report) == {"shard", "missing"}
    assert kinds(report, wrong=False) >= {"temporary", "surplus"}
    assert "SN006/LeftVideoSN006_comp: frames 16 to 23" in text
    assert "000001.h5: cut or damaged shard" in text
    shutil.move(paths[2], paths[8].with_name("000009.h5"))
    assert "misplaced" in kinds(verify_shards(work))


def rewritten(path, *, frames=None, labels=None, **header):
    """The shard with another header, frames or labels, sealed anew."""
    shard = read_shard(path)
    with h5py.File(path, "r") as file:
        offset, pool = file["crops/offset"][()], file["crops/data"][()]
    crops = [pool[a:b].tobytes() for a, b in zip(offset[:-1], offset[1:], strict=True)]
    write_shard(
        path,
        replace(shard.header, **header),
        frames or shard.frames,
        crops,
        shard.labels if labels is None else labels,
    )


def test_shards_of_other_options_detector_or_numbers(work, synthetic_disfa):
    paths = list_shards(work)
    header = read_shard(paths[0]).header
    rewritten(paths[0], detector="other 1", options={**header.options, "quality": 5})
    frames = read_shard(paths[1]).frames
    rewritten(paths[1], frames=replace(frames, frame_id=frames.frame_id + 1))
    labels = read_shard(paths[2]).labels.copy()
    labels[0, 0] = 5 - labels[0, 0]
    rewritten(paths[2], labels=labels)
    report = verify_shards(work, root=synthetic_disfa)
    assert kinds(report) == {"options", "versions", "misnumbered", "labels"}
    assert "quality not as glee.toml" in said(report)


def test_shards_of_another_dataset(made, disfa):
    disfa_facts.video_path(disfa, "SN006").unlink()
    shutil.copy(disfa_facts.video_path(disfa, "SN001"), disfa_facts.video_path(disfa, "SN002"))
    for au in disfa_facts.AUS:
        new = disfa_facts.label_path(disfa, "SN002", au)
        new.parent.mkdir(exist_ok=True)
        shutil.copy(disfa_facts.label_path(disfa, "SN001", au), new)
    report = verify_shards(made, root=disfa)
    text = said(report)
    assert "SN002/LeftVideoSN002_comp: no shard of this clip" in text
    assert "SN006/LeftVideoSN006_comp: shards of a clip that is not in" in text
    assert not report.ok


def test_fitted_in_part(work):
    path = list_shards(work)[0]
    add_fit(path, _fit(np.zeros((8, 51), np.float32)))
    assert "fit" in kinds(verify_shards(work))


def _fit(f_exp):
    count = len(f_exp)
    zeros = np.zeros(count, np.float32)
    return FitArrays(
        f_exp=f_exp,
        f_exp_std=np.zeros((count, 51), np.float32),
        f_shape=np.zeros((count, 60), np.float32),
        pose=np.zeros((count, 6)),
        energy=zeros,
        rmse=zeros,
        iterations=np.zeros(count, np.int32),
        converged=np.ones(count, bool),
    )


@pytest.fixture(scope="module")
def motions():
    """Labels and true coefficients of six clips, with noise on these as a fit has it."""
    clips = []
    for seed in range(6):
        rng = np.random.default_rng([77, seed])
        motion = random_motion(disfa_facts.AUS, ARKIT_NAMES, 400, FPS, rng)
        noise = rng.normal(0.0, 0.15, motion.f_exp.shape)
        f_exp = np.clip(motion.f_exp + noise, 0.0, 1.0).astype(np.float32)
        clips.append(LabelledClip(np.arange(1, 401), motion.intensity, f_exp))
    return clips


def test_labels_in_order_agree(motions):
    found = label_agreement(motions, disfa_facts.AUS, ARKIT_NAMES)
    assert found.aus == disfa_facts.AUS
    assert np.diag(found.r).min() > 0.4
    assert found.moved == {}
    assert abs(found.lag) < 0.2


@pytest.mark.parametrize("threshold", [None, 2])
def test_swapped_columns(motions, threshold):
    """As intensities and as occurrence; by directory order au1 au12 au15 au17 au2 ..."""
    in_folder_order = sorted(range(12), key=lambda column: f"au{disfa_facts.AUS[column]}.txt")
    clips = [replace(clip, labels=clip.labels[:, in_folder_order]) for clip in motions]
    if threshold:
        clips = [replace(clip, labels=np.int8(clip.labels >= threshold)) for clip in clips]
    found = label_agreement(clips, disfa_facts.AUS, ARKIT_NAMES)
    expected = {
        au: disfa_facts.AUS[column]
        for au, column in zip(disfa_facts.AUS, in_folder_order, strict=True)
        if au != disfa_facts.AUS[column]
    }
    assert found.moved.items() <= expected.items()
    assert len(found.moved) >= 8


@pytest.mark.parametrize("shift", [-2, -1, 1, 3])
def test_labels_some_frames_off(motions, shift):
    clips = [replace(clip, labels=np.roll(clip.labels, shift, axis=0)) for clip in motions]
    found = label_agreement(clips, disfa_facts.AUS, ARKIT_NAMES)
    assert found.lag == pytest.approx(shift, abs=0.3)
    assert found.moved == {}


def test_unknown_labels_and_frames_without_fit_do_not_count(motions):
    rng = np.random.default_rng(3)
    clips = []
    for clip in motions:
        labels, f_exp = clip.labels.copy(), clip.f_exp.copy()
        labels[rng.random(labels.shape) < 0.2] = -1
        f_exp[rng.random(len(f_exp)) < 0.2] = np.nan
        clips.append(replace(clip, labels=labels, f_exp=f_exp))
    found = label_agreement(clips, disfa_facts.AUS, ARKIT_NAMES)
    whole = label_agreement(motions, disfa_facts.AUS, ARKIT_NAMES)
    np.testing.assert_allclose(np.diag(found.r), np.diag(whole.r), atol=0.1)
    assert abs(found.lag) < 0.3


def test_nothing_that_moves_is_nothing_to_compare():
    still = LabelledClip(
        np.arange(100), np.zeros((100, 12), np.int8), np.zeros((100, 51), np.float32)
    )
    found = label_agreement([still], disfa_facts.AUS, ARKIT_NAMES)
    assert (found.aus, found.moved, found.lag) == ((), {}, None)


def test_swapped_files_of_a_dataset_are_found_through_the_shards(motions, work):
    """The labels of AU 4 and AU 12 exchanged in every shard, coefficients as they moved."""
    paths = list_shards(work)
    for name in ("SN001", "SN006"):
        for path in [path for path in paths if name in path.parts]:
            path.unlink()
    template = paths[0].parent
    template.mkdir(exist_ok=True, parents=True)
    column = [disfa_facts.AUS.index(au) for au in (4, 12)]
    for number, clip in enumerate(motions):
        labels = clip.labels.copy()
        labels[:, column] = labels[:, column[::-1]]
        _write_clip(work, f"SN{number + 1:03d}", labels, clip)
    report = verify_shards(work)
    assert "labels of AU4 follow the movements of AU12" in said(report)
    assert "labels of AU12 follow the movements of AU4" in said(report)
    assert kinds(report) == {"swapped"}
    assert abs(report.agreement["lag"]) < 0.3


def _write_clip(work, subject, labels, clip):
    count = len(labels)
    stated = read_options(work)["preprocess"]
    header = ShardHeader(
        dataset="disfa",
        subject=subject,
        clip="clip",
        start=0,
        stop=count,
        source="x.avi",
        source_size=1,
        source_hash="0",
        fps=FPS,
        frame_size=(320, 240),
        detector="dlib 1",
        options={key: value for key, value in stated.items() if key != "dataset"},
        glee_version="0",
        au_names=tuple(f"AU{au}" for au in disfa_facts.AUS),
        label_kind="intensity",
    )
    frames = FrameArrays(
        frame_id=clip.frame_id,
        valid=np.ones(count, bool),
        reason=np.zeros(count, np.uint8),
        confidence=np.ones(count, np.float32),
        landmarks=np.zeros((count, 68, 2), np.float32),
        transform=np.zeros((count, 2, 3)),
    )
    path = work / "shards" / subject / "clip" / "000000.h5"
    write_shard(path, header, frames, [b"x"] * count, labels)
    add_fit(path, _fit(clip.f_exp))


def test_no_shards(tmp_path):
    with pytest.raises(ShardError, match="holds no shards"):
        verify_shards(tmp_path)
