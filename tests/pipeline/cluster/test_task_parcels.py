"""Parcels follow the tasks' length; one that comes back, or kills its worker, loses nothing."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections import Counter

import pytest

from glee.errors import ClusterError
from glee.pipeline.cluster.cluster import open_cluster
from glee.pipeline.cluster.dask_cluster import MOST_TASKS, Limits, Parcels, parcel_limits

LIMITS = Limits(seconds=1.0, size=1e9)


def sizes(parcels, count, limits=LIMITS):
    return [len(parcels.take(limits, idle=True)) for _ in range(count)]


def test_parcels_grow_and_shrink_with_what_was_measured():
    parcels = Parcels(range(100_000), pickle.dumps)
    assert sizes(parcels, 3) == [1, 1, 1]
    parcels.measured(1, 0.02)
    assert sizes(parcels, 1) == [50]
    for _ in range(40):
        parcels.measured(100, 0.01)
    assert sizes(parcels, 1) == [MOST_TASKS]
    for _ in range(40):
        parcels.measured(1, 16.0)
    assert sizes(parcels, 2) == [1, 1]


def test_each_task_is_taken_once_and_what_comes_back_goes_next():
    parcels = Parcels(range(10), pickle.dumps)
    parcels.measured(10, 2.5)
    first = parcels.take(LIMITS, idle=True)
    parcels.requeue(first[1:])
    parcels.requeue(first[:1], apart=True)
    taken = []
    while parcel := parcels.take(LIMITS, idle=True):
        taken.append([item.task for item in parcel])
    assert taken == [[1, 2, 3], [0], [4, 5, 6, 7], [8, 9]]


def test_a_deferred_task_goes_when_all_others_are_done():
    parcels = Parcels(range(3), pickle.dumps)
    (suspect,) = parcels.take(LIMITS, idle=True)
    parcels.defer(suspect)
    taken = []
    while parcel := parcels.take(LIMITS, idle=False):
        taken += [(item.task, item.alone) for item in parcel]
    assert taken == [(1, False), (2, False)]
    assert parcels.take(LIMITS, idle=True) == [suspect._replace(alone=True)]
    assert parcels.take(LIMITS, idle=True) == []


def test_large_tasks_make_small_parcels():
    parcels = Parcels((bytes(1000) for _ in range(100)), pickle.dumps)
    parcels.measured(1, 1e-6)
    assert sizes(parcels, 2, Limits(1.0, 5000)) == [5, 5]
    # A quarter of a gigabyte is under way at most, to any number of workers.
    assert parcel_limits(3000, 1000).size * 3000 <= 256 << 20
    assert parcel_limits(3000, 1000).seconds > parcel_limits(6, 2).seconds


def kill_at_13(number):
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return -number


def kill_when_odd(number):
    time.sleep(0.02)
    if number % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return -number


def slow_at_the_end(number):
    time.sleep(0.5 if number >= 200 else 0.001)
    return os.getpid()


@pytest.fixture(scope="module")
def two_workers():
    with open_cluster("local", 2) as cluster:
        yield cluster


def test_the_task_that_kills_is_found_among_those_it_travels_with(two_workers):
    found = {outcome.task: outcome for outcome in two_workers.run(kill_at_13, range(40))}
    assert sorted(found) == list(range(40))
    assert isinstance(found.pop(13).error, ClusterError)
    assert {task: outcome.result for task, outcome in found.items()} == {n: -n for n in found}


def test_those_that_wait_beside_killers_are_not_blamed(two_workers):
    found = {outcome.task: outcome for outcome in two_workers.run(kill_when_odd, range(8))}
    assert [found[n].result for n in (0, 2, 4, 6)] == [0, -2, -4, -6]
    assert all(isinstance(found[n].error, ClusterError) for n in (1, 3, 5, 7))


def test_tasks_that_turn_out_long_do_not_keep_the_others_of_their_parcel(two_workers):
    long = Counter(o.result for o in two_workers.run(slow_at_the_end, range(212)) if o.task >= 200)
    # By what was measured before, all twelve were one parcel.
    assert sum(long.values()) == 12
    assert min(long.values()) >= 3
    assert len(long) == 2
