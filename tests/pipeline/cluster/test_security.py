"""Nobody without a run's key is heard; nothing is imported from the folder one happens to be in."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys

import psutil
import pytest

from glee.errors import ClusterError, UsageError
from glee.pipeline.cluster.cluster import open_cluster
from glee.pipeline.cluster.options import ClusterOptions
from glee.pipeline.cluster.queue_cluster import queue_cluster
from glee.pipeline.cluster.security import certificate_files, run_security

# A stranger with nothing but Python: what each port says to plain words, to TLS without a
# certificate, and to a browser. Prints the ports that give more than a refusal.
STRANGER = """
import socket, ssl, sys

def said(port, wrap, words):
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as plain:
            plain.settimeout(1)
            with wrap(plain) as line:
                line.sendall(words)
                return line.recv(4096)
    except (OSError, ValueError):
        return b""

unchecked = ssl.create_default_context()
unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
for port in map(int, sys.argv[1:]):
    told = said(port, lambda line: line, (8).to_bytes(8, "little") + bytes(8))
    told += said(port, unchecked.wrap_socket, bytes(64))
    pages = ("/info/main/workers.html", "/metrics")
    for page in pages:
        answer = said(port, lambda line: line, f"GET {page} HTTP/1.0\\r\\n\\r\\n".encode())
        if answer and b" 404 " not in answer.split(b"\\r\\n")[0]:
            told += answer
    # Dask greets with a map of its versions, a TLS alert has a few bytes of its own.
    if len(told.replace(b"\\x15\\x03", b"")) > 64 or b"compression" in told:
        print(port, told[:80])
"""


def listening(process):
    """Ports on which a process and those that it started listen."""
    family = [process, *process.children(recursive=True)]
    return {
        connection.laddr.port: connection.laddr.ip
        for one in family
        for connection in one.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def test_a_client_without_the_key_is_not_heard():
    distributed = pytest.importorskip("distributed")
    with open_cluster("local", 2) as cluster:
        assert [o.result for o in cluster.run(abs, [-1, -2])] == [1, 2]
        address = cluster._client.cluster.scheduler_address
        assert address.startswith("tls://127.0.0.1:")
        with pytest.raises((OSError, TimeoutError)):
            distributed.Client(address.replace("tls://", "tcp://"), timeout="3s")
        with pytest.raises((OSError, TimeoutError)):
            distributed.Client(address, security=run_security(), timeout="3s")
        assert [o.result for o in cluster.run(abs, [-3])] == [3]


def other_python():
    """A Python that any user may run."""
    return shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")


@pytest.mark.parametrize("who", ["this user", "another user"])
def test_no_port_tells_a_stranger_anything(who, tmp_path):
    if who == "another user":
        if not hasattr(os, "geteuid") or os.geteuid() != 0 or other_python() is None:
            pytest.skip("to be another user takes root, and a Python that others may run")
        python, options = other_python(), {"user": 65534, "group": 65534, "extra_groups": []}
    else:
        python, options = sys.executable, {}
    with open_cluster("local", 2) as cluster:
        assert len(list(cluster.run(abs, range(4)))) == 4
        ports = listening(psutil.Process())
        assert len(ports) >= 5  # scheduler, its page; nannies and workers
        assert set(ports.values()) == {"127.0.0.1"}
        done = subprocess.run(
            [python, "-c", STRANGER, *map(str, ports)],
            capture_output=True,
            text=True,
            timeout=120,
            cwd="/",
            **options,
        )
        assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
        assert len(list(cluster.run(abs, range(4)))) == 4


def test_files_of_a_key_are_its_users_alone_and_go(tmp_path):
    folder = tmp_path / "logs of 'mine'"
    with certificate_files(run_security(), folder) as lines:
        (own,) = folder.iterdir()
        assert stat.S_IMODE(own.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in own.iterdir()} == {0o600}
        shell = "\n".join([*lines, "cat $DASK_DISTRIBUTED__COMM__TLS__WORKER__KEY"])
        # Without quotes around the variable the shell parts the path at its blanks.
        shell = shell.replace("cat $", 'cat "$') + '"'
        said = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
        assert said.stdout.startswith("-----BEGIN PRIVATE KEY-----")
    assert not list(folder.iterdir())


def test_a_jobs_script_has_no_key_and_no_page(tmp_path, monkeypatch):
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    script = tmp_path / "script"
    (tmp_path / "sbatch").write_text(
        f'#!/bin/sh\ncat "$1" > "{script}"\necho "error: no" >&2\nexit 1\n'
    )
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    options = ClusterOptions(cores=2, log_folder=str(tmp_path / "logs"))
    places = set()
    with pytest.raises(ClusterError), queue_cluster("slurm", None, options) as cluster:
        list(places.update(listening(psutil.Process()).values()) or cluster.run(str, iter(["a"])))
    assert places.isdisjoint({"0.0.0.0", "::"})
    text = script.read_text()
    assert "PRIVATE KEY" not in text
    assert "export DASK_DISTRIBUTED__COMM__TLS__WORKER__KEY=" in text
    assert "export PYTHONSAFEPATH=1" in text
    assert "tls://" in text
    assert "--no-dashboard --dashboard-address 127.0.0.1:0" in text
    assert not list((tmp_path / "logs").iterdir())


def test_a_folder_name_with_a_line_break_reaches_no_script():
    options = ClusterOptions(log_folder="/data/a\n#SBATCH --wrap=id/cluster-logs")
    with (
        pytest.raises(UsageError, match="control characters"),
        queue_cluster("slurm", None, options),
    ):
        pass


@pytest.mark.parametrize("name", ["random.py", "glee/__init__.py"])
def test_workers_import_nothing_from_the_current_folder(tmp_path, name):
    here = tmp_path / "here"
    trap = here / name
    trap.parent.mkdir(parents=True)
    trap.write_text("import os\nos.write(2, b'the trap was imported')\nraise SystemExit(3)\n")
    program = tmp_path / "program.py"
    program.write_text(
        "from glee.pipeline.cluster.cluster import open_cluster\n"
        "with open_cluster('local', 2) as cluster:\n"
        "    print(sorted(o.result for o in cluster.run(abs, [-1, -2])))\n"
    )
    done = subprocess.run(
        [sys.executable, program],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=here,
        env={key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"},
    )
    assert (done.stdout, done.stderr) == ("[1, 2]\n", "")
    assert not list(here.rglob("__pycache__"))
