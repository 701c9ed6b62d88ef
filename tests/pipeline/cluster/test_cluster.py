"""Clusters: every task has one outcome, failures too, and only few tasks are taken at a time."""

from __future__ import annotations

import os
import time
from itertools import islice

import pytest

from glee.errors import DataError, UsageError
from glee.pipeline.cluster.cluster import open_cluster
from glee.pipeline.cluster.dask_cluster import MOST_TASKS


def square(number):
    if number == 3:
        raise DataError("three: not wanted")
    if number == 5:
        raise ZeroDivisionError("five")
    return number * number


def process_id(number):
    time.sleep(0.2)
    return os.getpid()


def thread_settings(number):
    import cv2
    import numba

    blas = [os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")]
    return cv2.getNumThreads(), numba.get_num_threads(), *blas


@pytest.fixture(scope="module")
def two_workers():
    with open_cluster("local", 2) as cluster:
        yield cluster


@pytest.fixture
def one_worker():
    with open_cluster("local", 1) as cluster:
        yield cluster


@pytest.mark.parametrize("which", ["one_worker", "two_workers"])
def test_each_task_has_one_outcome(which, request):
    outcomes = {o.task: o for o in request.getfixturevalue(which).run(square, range(40))}
    assert sorted(outcomes) == list(range(40))
    for number, outcome in outcomes.items():
        if number not in (3, 5):
            assert (outcome.result, outcome.error) == (number * number, None)
    assert type(outcomes[3].error) is DataError
    assert str(outcomes[3].error) == "three: not wanted"
    assert str(outcomes[5].error).startswith("unexpected ZeroDivisionError: five, at ")


def test_tasks_are_taken_only_as_there_is_room(two_workers):
    """Of a million tasks, the scheduler never holds more than three parcels a worker."""
    taken, most, held = 0, 0, 0

    def tasks():
        nonlocal taken
        while taken < 1_000_000:
            taken += 1
            yield taken

    scheduler = two_workers._client.cluster.scheduler
    run = two_workers.run(abs, tasks())
    for done, _ in enumerate(islice(run, 5000), 1):
        most = max(most, taken - done)
        held = max(held, len(scheduler.tasks))
    assert held <= 2 * 3 * 2  # those on their way out are among them
    assert most <= (3 * 2 + 1) * MOST_TASKS
    run.close()


def test_long_tasks_travel_alone(two_workers):
    taken = []

    def tasks():
        for number in range(1000):
            taken.append(number)
            yield 0.3

    run = two_workers.run(time.sleep, tasks())
    list(islice(run, 6))
    assert len(taken) <= 6 + 3 * 2
    run.close()


def test_work_goes_to_processes_with_one_thread_each(two_workers):
    seen = {outcome.result for outcome in two_workers.run(process_id, range(8))}
    assert len(seen) == 2
    assert os.getpid() not in seen
    assert {o.result for o in two_workers.run(thread_settings, range(4))} == {(1, 1, "1", "1")}


def test_numba_works_on_in_this_process_after_a_cluster(two_workers):
    import numba

    before = dict(os.environ)
    with open_cluster("local", 1) as cluster:
        list(cluster.run(abs, [1]))
    assert dict(os.environ) == before
    assert numba.njit(lambda x: x + 1)(1) == 2


def test_clusters_that_make_no_sense():
    with pytest.raises(UsageError, match="0 workers"), open_cluster("local", 0):
        pass
    with pytest.raises(UsageError, match=r"'cloud' is unknown; known are: local"):
        open_cluster("cloud", 2).__enter__()
