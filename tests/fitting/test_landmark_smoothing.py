"""The smoother against batch least squares, known noise, steps and blinks."""

from __future__ import annotations

import numpy as np
import pytest

from glee.fitting.landmark_smoothing import (
    FRAME,
    LANES,
    OWN,
    SIGNALS,
    DifferenceCounts,
    Piece,
    TrackNoise,
    _smooth,
    from_face_frame,
    smooth_pieces,
    smooth_run,
    to_face_frame,
)
from glee.fitting.morphable_model.model_file import load_model

SIZE = 100.0  # pixels between the outer eye corners
ERROR = 0.4  # pixels


def _clip(frames: int, *, blink: bool = True) -> np.ndarray:
    """A face that turns, comes nearer, and blinks at frame 40 in three frames."""
    model = load_model()
    face = model.landmarks["anatomical"].on(model.mean)[:, :2] * (1.0, -1.0)
    face = (face - face.mean(0)) * SIZE / np.linalg.norm(face[45] - face[36])
    time = np.arange(frames)
    clip = np.repeat(face[None], frames, 0)
    if blink:
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
            closed = np.clip(1.5 - np.abs(time - 40) / 2.0, 0.0, 1.0)[:, None]
            clip[:, upper] += closed * (face[lower] - face[upper])
    angle = 0.2 * np.sin(time / 25.0)
    turn = np.stack([np.stack([np.cos(angle), -np.sin(angle)], -1)], 0)[0]
    turn = np.stack([turn, np.stack([np.sin(angle), np.cos(angle)], -1)], 1)
    size = np.exp(0.1 * np.sin(time / 40.0))[:, None, None]
    place = np.stack([300.0 + 20.0 * np.sin(time / 15.0), 200.0 + 0.0 * time], 1)[:, None]
    return np.einsum("nab,nib->nia", turn, clip) * size + place


def _noisy(clip: np.ndarray, seed: int = 0) -> np.ndarray:
    return clip + np.random.default_rng(seed).normal(0.0, ERROR, clip.shape)


def _noise(clip: np.ndarray) -> TrackNoise:
    counts = DifferenceCounts()
    counts.add(clip)
    noise = counts.noise()
    assert noise is not None
    return noise


def test_the_face_frame_goes_both_ways() -> None:
    clip = _noisy(_clip(30))
    np.testing.assert_allclose(from_face_frame(to_face_frame(clip)), clip, atol=1e-9)


def test_the_kernel_is_the_least_squares_solution() -> None:
    rng = np.random.default_rng(3)
    seen = np.cumsum(np.cumsum(rng.normal(0, 0.1, 60))) + rng.normal(0, 0.3, 60)
    factor = rng.uniform(0.2, 5.0, 60)
    # Of the errors and the accelerations, these times the factor.
    own = np.repeat([0.09, 0.01, 0.0, 0.0, 0.0, 0.0, 0.0], LANES)
    frames = np.zeros((61, FRAME // LANES, LANES))
    frames[:60, 0], frames[:60, 1] = seen[:, None], 0.01 * factor[:, None]
    _smooth(frames.reshape(-1), own, 60)
    out, square = frames[:60, 3], frames[:60, 6] * 0.01
    assert len(own) == OWN
    assert np.ptp(out, axis=1).max() == 0.0
    second = np.diff(np.eye(60), 2, axis=0)
    # The change of velocity that second difference t shows comes after frame t.
    weight = np.diag(1.0 / (0.01 * factor[:58]))
    expected = np.linalg.solve(np.eye(60) / 0.09 + second.T @ weight @ second, seen / 0.09)
    np.testing.assert_allclose(out[:, 0], expected, atol=1e-3)
    # Expected squares: of the solution's own second difference, and its variance.
    covariance = np.linalg.inv(np.eye(60) / 0.09 + second.T @ weight @ second)
    squares = (second @ expected) ** 2 + np.diag(second @ covariance @ second.T)
    np.testing.assert_allclose(square[:58, 0], squares, rtol=1e-2)


def test_the_error_is_found_from_the_clip() -> None:
    noise = _noise(_noisy(_clip(300, blink=False)))
    found = np.sqrt(np.median(noise.error[:136])) * SIZE
    assert found == pytest.approx(ERROR, rel=0.35)


def test_noise_falls_and_a_blink_stays() -> None:
    clip = _clip(200)
    seen = _noisy(clip)
    smooth = smooth_run(seen, _noise(seen))
    before, after = (np.sqrt(((x - clip) ** 2).mean()) for x in (seen, smooth))
    assert after < 0.7 * before

    def gap(x: np.ndarray) -> np.ndarray:
        return np.linalg.norm(x[:, 38] - x[:, 40], axis=1)

    depth = gap(clip)[20] - gap(clip).min()
    assert gap(smooth)[40] - gap(clip)[40] < 0.15 * depth
    # No lag: the frame of the lowest lid stays.
    assert abs(int(gap(smooth)[30:50].argmin()) - int(gap(clip)[30:50].argmin())) <= 1


def test_one_part_may_jump_without_loosening_the_others() -> None:
    clip = _clip(200, blink=False)
    clip[100:, 17:27, 1] -= 6.0
    seen = _noisy(clip)
    smooth = smooth_run(seen, _noise(seen))
    brows, mouth = slice(17, 27), slice(48, 68)
    middle = smooth[:, brows, 1].mean(1) - clip[:, brows, 1].mean(1)
    assert np.abs(middle[95:105]).max() < 0.4 * 6.0
    error = np.sqrt(((smooth - clip)[95:105, mouth] ** 2).mean())
    assert error < 0.75 * ERROR


def test_short_runs_come_back() -> None:
    seen = _noisy(_clip(2))
    noise = TrackNoise(np.ones(SIGNALS), np.ones(SIGNALS))
    np.testing.assert_array_equal(smooth_run(seen, noise), seen)


def test_pieces_are_smoothed_each_by_itself() -> None:
    seen = _noisy(_clip(100))
    noise = _noise(seen)
    seen[50] = np.nan
    pieces = [Piece(0, 50, 10, 50), Piece(51, 53, 51, 53), Piece(53, 100, 53, 90)]
    found = smooth_pieces(seen, pieces, noise)
    np.testing.assert_allclose(found[10:50], smooth_run(seen[:50], noise)[10:], atol=1e-9)
    np.testing.assert_allclose(found[53:90], smooth_run(seen[53:], noise)[:37], atol=1e-9)
    for same in (slice(0, 10), slice(50, 53), slice(90, 100)):
        np.testing.assert_array_equal(found[same], seen[same])


def test_too_few_frames_and_unrelated_ones_have_no_noise() -> None:
    counts = DifferenceCounts()
    counts.add(_noisy(_clip(15)))
    assert counts.noise() is None
    counts = DifferenceCounts()
    counts.add(_clip(100) + np.random.default_rng(0).normal(0.0, 8.0, (100, 68, 2)))
    assert counts.noise() is None


def test_counts_do_not_depend_on_the_pieces() -> None:
    seen = _noisy(_clip(100))
    whole, pieces = DifferenceCounts(), DifferenceCounts()
    whole.add(seen)
    for start in range(0, 100, 30):
        low = max(start - 8, 0)
        pieces.add(seen[low : start + 30], start - low)
    np.testing.assert_array_equal(whole.counts, pieces.counts)


def test_no_difference_goes_from_one_run_to_the_next() -> None:
    seen = _noisy(_clip(100))
    seen[40] = np.nan
    run = np.repeat([0, -1, 3, 4], [40, 1, 30, 29])
    at_once, one_by_one = DifferenceCounts(), DifferenceCounts()
    at_once.add(seen, 0, run)
    for number in (0, 3, 4):
        one_by_one.add(seen[run == number])
    np.testing.assert_array_equal(at_once.counts, one_by_one.counts)
