"""The stage fit3d on shards with the truth's own landmarks: what it finds, keeps and refuses."""

from __future__ import annotations

import dataclasses
import shutil
import weakref

import h5py
import numpy as np
import pytest

from glee.errors import OptionsError, ShardError, UsageError
from glee.fitting.camera import Camera
from glee.fitting.morphable_model.model_file import load_model
from glee.fitting.options import expression_prior
from glee.fitting.solver.problem import landmark_places
from glee.model.data.au_dataset import load_frames
from glee.pipeline import subject_fit
from glee.pipeline.fit3d import fit3d
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.options import Fit3dOptions
from glee.pipeline.shards.shard import (
    REASONS,
    FrameArrays,
    ShardHeader,
    list_shards,
    read_shard,
    shard_path,
    write_shard,
)

SIZE = (640, 480)
LOST = 4


def make_truth(seed, count=24):
    """A subject's mesh coefficients and poses: f_shape (60,), f_exp (n, 51), pose (n, 6)."""
    random = np.random.default_rng(seed)
    f_shape = random.normal(0, 0.8, 60)
    f_exp = random.random((count, 51)) * (random.random((count, 51)) < 0.08)
    pose = np.column_stack(
        [random.normal(0, 0.15, (count, 3)), random.normal(0, 0.3, (count, 2)), np.full(count, -14)]
    )
    return f_shape, f_exp, pose


def exact_landmarks(truth):
    model = load_model()
    f_shape, f_exp, pose = truth
    places = [
        landmark_places(model, model.shape(f_shape, f_exp[i]), pose[i], "anatomical")
        for i in range(len(pose))
    ]
    return Camera.for_image(*SIZE).project(np.stack(places), pose).astype(np.float32)


def make_shard(work, subject, clip, number, landmarks, start):
    count = len(landmarks)
    reason = np.zeros(count, np.uint8)
    reason[LOST] = REASONS.index("lost_track")
    header = ShardHeader(
        dataset="disfa",
        subject=subject,
        clip=clip,
        start=start,
        stop=start + count,
        source="a.avi",
        source_size=1,
        source_hash="00",
        fps=20.0,
        frame_size=SIZE,
        detector="exact 1",
        options={},
        glee_version="0",
        au_names=(),
        label_kind="none",
    )
    frames = FrameArrays(
        frame_id=np.arange(start, start + count),
        valid=reason == 0,
        reason=reason,
        confidence=np.ones(count, np.float32),
        landmarks=landmarks,
        transform=np.zeros((count, 2, 3)),
    )
    crops = [encode_crop(np.full((200, 200, 3), 128, np.uint8))] * count
    path = shard_path(work, subject, clip, number)
    write_shard(path, header, frames, crops, np.empty((count, 0), np.int8))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Two subjects of exact landmarks, two shards of 12 frames each; and the truths."""
    work = tmp_path_factory.mktemp("fit3d") / "work"
    truths = {}
    for seed, subject in enumerate(("SN001", "SN002")):
        truths[subject] = make_truth(seed)
        landmarks = exact_landmarks(truths[subject])
        for number in (0, 1):
            rows = slice(12 * number, 12 * number + 12)
            make_shard(work, subject, "clip", number, landmarks[rows], 12 * number)
    return work, truths


@pytest.fixture
def work(prepared, tmp_path):
    shutil.copytree(prepared[0], tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture(scope="module")
def fitted(prepared, tmp_path_factory):
    out = tmp_path_factory.mktemp("fitted") / "work"
    shutil.copytree(prepared[0], out)
    return out, run(out)


def run(work, **arguments):
    return fit3d(work, **{"workers": 1, "progress": False, **arguments})


def contents(work):
    return {path.relative_to(work): path.read_bytes() for path in list_shards(work)}


def test_pose_and_reprojection_agree_with_the_truth(fitted, prepared):
    work, summary = fitted
    assert (summary.frames, summary.made, summary.kept) == (48, 4, 0)
    assert summary.invalid == {"lost_track": 4}
    for path in list_shards(work):
        shard = read_shard(path)
        fit, valid = shard.fit, shard.frames.valid
        truth = prepared[1][shard.header.subject]
        rows = slice(shard.header.start, shard.header.stop)
        turned = np.degrees(np.linalg.norm(fit.pose[:, :3] - truth[2][rows, :3], axis=1))
        assert np.median(turned[valid]) < 1.0
        assert np.median(fit.rmse[valid]) < 0.5
        assert (fit.image_size, fit.focal, fit.model) == (SIZE, 960.0, load_model().name)
        assert len(np.unique(fit.f_shape[valid], axis=0)) == 1
    one, two = (read_shard(path).fit.f_shape[0] for path in list_shards(work)[:2])
    np.testing.assert_array_equal(one, two)


def test_frames_that_are_not_valid_hold_nothing(fitted):
    for path in list_shards(fitted[0]):
        fit = read_shard(path).fit
        for name in ("f_exp", "f_exp_std", "f_shape", "pose", "energy", "rmse"):
            assert np.isnan(getattr(fit, name)[LOST]).all(), name
        assert not fit.converged[LOST]
        assert fit.iterations[LOST] == 0


def test_each_frame_alone_has_its_own_identity(work):
    run(work, options=Fit3dOptions(identity="frame"))
    shard = read_shard(list_shards(work)[0])
    assert len(np.unique(shard.fit.f_shape[shard.frames.valid], axis=0)) == 11


def test_the_prior_holds_f_exp_to_plausible_expressions(fitted, work):
    run(work, options=Fit3dOptions(prior=True))
    prior = expression_prior(load_model().expression_names)
    distance = []
    for folder in (fitted[0], work):
        f_exp = np.concatenate([read_shard(path).fit.f_exp for path in list_shards(folder)])
        apart = f_exp[np.isfinite(f_exp).all(1)] - prior.mean
        distance.append((apart * np.linalg.solve(prior.covariance, apart.T).T).sum(1).mean())
    assert distance[1] < 0.6 * distance[0]


def test_finished_shards_stay_and_unfinished_ones_become_the_same(fitted, work):
    whole = contents(fitted[0])
    for path in list_shards(work)[:2]:
        path.write_bytes(whole[path.relative_to(work)])
    kept = [path.stat().st_mtime_ns for path in list_shards(work)[:2]]
    summary = run(work)
    assert (summary.made, summary.kept) == (2, 2)
    assert [path.stat().st_mtime_ns for path in list_shards(work)[:2]] == kept
    assert contents(work) == whole
    assert summary.clips == fitted[1].clips
    assert run(work, overwrite=True).made == 4
    assert contents(work) == whole


def test_two_workers_give_the_bytes_of_one(fitted, work):
    run(work, workers=2)
    assert contents(work) == contents(fitted[0])


def test_a_subject_is_fitted_again_when_one_of_its_shards_has_changed(fitted, work, prepared):
    shutil.rmtree(work)
    shutil.copytree(fitted[0], work)
    moved = exact_landmarks(prepared[1]["SN001"])[:12] + 5
    make_shard(work, "SN001", "clip", 0, moved, 0)
    summary = run(work)
    assert (summary.made, summary.kept) == (2, 2)


def test_other_options_stop(fitted, work):
    shutil.rmtree(work)
    shutil.copytree(fitted[0], work)
    with pytest.raises(OptionsError, match="identity is 'subject' there, 'frame' now"):
        run(work, options=Fit3dOptions(identity="frame"))
    assert contents(work) == contents(fitted[0])


def test_one_damaged_shard_is_reported_and_the_others_are_finished(fitted, work):
    paths = list_shards(work)
    with h5py.File(paths[0], "r+") as file:
        file["frames/confidence"][0] = 0.5
    with pytest.raises(ShardError, match=r"000000\.h5: content does not match its checksum"):
        run(work)
    assert read_shard(paths[0], verify=False).fit is None
    others = [path.relative_to(work) for path in paths[2:]]
    assert all(contents(work)[path] == contents(fitted[0])[path] for path in others)
    paths[0].write_bytes(paths[0].read_bytes()[:1000])
    with pytest.raises(ShardError, match=r"000000\.h5: cut or damaged"):
        run(work)


def test_a_shard_in_the_place_of_another_subject_is_refused(work, tmp_path, caplog):
    moved = shutil.copytree(work, tmp_path / "moved")
    first, *_, last = list_shards(moved)
    shutil.copy(first, last.with_name("000099.h5"))
    with pytest.raises(ShardError, match="so it was moved or copied here") as caught:
        fit3d(moved, workers=1, progress=False)
    assert "\n" not in str(caught.value)
    with pytest.raises(ShardError, match="so it was moved or copied here"):
        load_frames(moved, size=100)


def test_a_long_clip_s_identity_needs_no_more_memory_than_a_short_one_s(tmp_path, monkeypatch):
    landmarks = exact_landmarks(make_truth(5, 48))
    for number in range(8):
        rows = slice(6 * number, 6 * number + 6)
        make_shard(tmp_path, "SN001", "clip", number, landmarks[rows], 6 * number)
    options = Fit3dOptions(witness=False)
    task = subject_fit.SubjectTask("SN001", tuple(list_shards(tmp_path)), options, again=False)
    whole = subject_fit.fit_subject(task)
    read, at_once = [], []

    def counted(*arguments, **named):
        shard = read_shard(*arguments, **named)
        read.append(weakref.ref(shard.frames.landmarks))
        at_once.append(sum(one() is not None for one in read))
        return shard

    monkeypatch.setattr(subject_fit, "read_shard", counted)
    monkeypatch.setattr(subject_fit, "IN_MEMORY", 2)
    parts = subject_fit.fit_subject(task)
    assert max(at_once) <= 5
    np.testing.assert_array_equal(parts.f_shape, whole.f_shape)
    assert parts.sources == whole.sources


def test_usage(work, tmp_path):
    with pytest.raises(ShardError, match="no such folder"):
        run(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    for wrong in ({"identity": "clip"}, {"focal": -1.0}, {"robust": "x"}, {"sample_frames": 0}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            run(work, options=dataclasses.replace(Fit3dOptions(), **wrong))
