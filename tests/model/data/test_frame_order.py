"""The order of an epoch's frames: a permutation, as random as a full shuffle, from few blocks."""

from __future__ import annotations

import numpy as np

from glee.model.data.augmentation import frame_order

BATCH = 64


def labels_in_runs(random, clips, frames):
    """Labels (n,) that stay for about 50 frames; some clips have more of them than others."""
    rate = np.repeat(random.uniform(0.05, 0.6, clips), frames)
    run = np.cumsum(random.random(clips * frames) < 1 / 50)
    return (random.random(run[-1] + 1)[run] < rate).astype(float)


def test_few_frames_are_shuffled_fully():
    order = frame_order(np.arange(500) // 16, np.random.default_rng(3))
    assert np.array_equal(order, np.random.default_rng(3).permutation(500))


def test_every_frame_comes_once_and_from_the_seed_alone():
    block = np.repeat(np.arange(3000), np.random.default_rng(0).integers(1, 17, 3000))
    order = frame_order(block, np.random.default_rng(1))
    assert np.array_equal(np.sort(order), np.arange(len(block)))
    assert np.array_equal(order, frame_order(block, np.random.default_rng(1)))
    assert not np.array_equal(order, frame_order(block, np.random.default_rng(2)))


def test_batches_vary_as_those_of_a_full_shuffle():
    random = np.random.default_rng(5)
    labels = labels_in_runs(random, 60, 2048)
    places = np.arange(len(labels))

    def spread(order):
        return labels[order[: len(order) // BATCH * BATCH]].reshape(-1, BATCH).mean(1).std()

    full = spread(random.permutation(len(labels)))
    ours = spread(frame_order(places // 16, random))
    by_file = spread(
        np.argsort(random.permutation(60)[places // 2048] + random.random(len(labels)))
    )
    assert ours < 1.1 * full
    assert by_file > 2 * full


def test_a_block_is_used_up_within_the_window():
    block = np.arange(100_000) // 16
    order = frame_order(block, np.random.default_rng(0), window=4096)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    by_block = place.reshape(-1, 16)
    assert (by_block.max(1) - by_block.min(1)).max() < 1.1 * 4096
    # and its frames do not stay together
    assert np.median(np.diff(np.sort(by_block, 1), axis=1)) > 100
