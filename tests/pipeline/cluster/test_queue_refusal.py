"""A job that the queue refuses ends a run with the queue's own words, at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from glee.errors import ClusterError
from glee.pipeline.cluster.options import ClusterOptions
from glee.pipeline.cluster.queue_cluster import queue_cluster

SBATCH = """#!/bin/sh
echo "sbatch: error: invalid partition specified: nowhere" >&2
exit 1
"""


def test_a_refused_job_is_told_in_one_line(tmp_path, monkeypatch):
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    (tmp_path / "sbatch").write_text(SBATCH)
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    options = ClusterOptions(queue="nowhere", cores=1, log_folder=str(tmp_path / "logs"))
    with (
        pytest.raises(ClusterError, match="refused a job: sbatch: error: invalid partition"),
        queue_cluster("slurm", None, options) as cluster,
    ):
        list(cluster.run(str, iter(["a"])))


def test_a_job_of_a_folder_with_blanks_quotes_its_logs(tmp_path, monkeypatch):
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    script = tmp_path / "script"
    (tmp_path / "sbatch").write_text(
        f'#!/bin/sh\ncat "$1" > "{script}"\necho "error: no" >&2\nexit 1\n'
    )
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    logs = tmp_path / 'trial "b"' / "logs"
    options = ClusterOptions(queue="debug", cores=1, log_folder=str(logs))
    with pytest.raises(ClusterError), queue_cluster("slurm", None, options) as cluster:
        list(cluster.run(str, iter(["a"])))
    quoted = str(logs).replace('"', '\\"')
    assert f'#SBATCH -o "{quoted}/glee-%J.out"' in script.read_text()
    assert f'#SBATCH -e "{quoted}/glee-%J.err"' in script.read_text()
    assert logs.is_dir()


def test_ctrl_c_stays_an_interruption():
    """dask-jobqueue, where it is imported, makes it a success; seen in a fresh process."""
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    code = (
        "import signal\n"
        "from glee.pipeline.cluster.options import ClusterOptions\n"
        "from glee.pipeline.cluster.queue_cluster import job_script\n"
        "before = signal.getsignal(signal.SIGINT)\n"
        "job_script('slurm', ClusterOptions())\n"
        "assert signal.getsignal(signal.SIGINT) is before\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
