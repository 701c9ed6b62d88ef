"""Verification of shards finds what was altered, misplaced or swapped, and says so."""

from __future__ import annotations

import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from glee.errors import ShardError
from glee.pipeline.datasets import disfa as disfa_facts
from glee.pipeline.options import PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import (
    FitArrays,
    FrameArrays,
    ShardHeader,
    add_fit,
    list_shards,
    read_shard,
    write_shard,
)
from glee.pipeline.verification import verify_shards
from glee.pipeline.verification.report import Problem, Verification
from glee.pipeline.work_folder import read_options

from .read_report import kinds, said

FPS = 20.0


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


def test_swapped_files_of_a_dataset_are_found_through_the_shards(motions, work):
    """The labels of AU 4 and AU 12 exchanged in every shard, coefficients as they moved."""
    paths = list_shards(work)
    (work / "plan.json").unlink()  # of another dataset than the one that is written here
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


def test_shards_that_were_planned_and_not_made_are_missing(work):
    """A run that ended before, on a full disk or by a kill, left whole shards and a plan."""
    assert verify_shards(work).ok
    path = list_shards(work)[-1]
    path.unlink()
    report = verify_shards(work)
    assert not report.ok
    assert kinds(report) == {"missing"}
    subject, clip = path.parts[-3:-1]
    assert f"{subject}/{clip}: 4 of 5 planned shards" in said(report)


def test_what_is_wrong_is_said_last():
    problems = (Problem("missing", "one"), Problem("length", "two", wrong=False))
    lines = Verification("disfa in D", problems).lines()
    assert lines == ["note, length: two", "missing: one", "disfa in D: 1 thing is wrong"]
