"""Compiled kernels have a folder of their user's where package and home cannot be written."""

from __future__ import annotations

import os
import tempfile

import pytest

from glee import cache_folder


@pytest.fixture
def nothing_writable(tmp_path, monkeypatch):
    """Package and home cannot be written, the temporary folder can."""
    monkeypatch.setenv(cache_folder.VARIABLE, "")  # remembered, and put back in the end
    monkeypatch.delenv(cache_folder.VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # By hand, since the tests may run as root.
    monkeypatch.setattr(cache_folder, "_writable", lambda folder: False)
    return tmp_path


def test_a_private_temporary_folder_the_same_each_time(nothing_writable):
    for _ in range(2):
        cache_folder.choose_cache_folder(nothing_writable / "package")
        folder = nothing_writable / f"glee-kernels-{os.getuid()}"
        assert os.environ.pop(cache_folder.VARIABLE) == str(folder)
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_write_is_not_trusted(nothing_writable):
    folder = nothing_writable / f"glee-kernels-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    cache_folder.choose_cache_folder(nothing_writable / "package")
    assert os.environ[cache_folder.VARIABLE] != str(folder)
    assert os.environ[cache_folder.VARIABLE].startswith(str(nothing_writable))


def test_a_folder_that_was_given_stays(nothing_writable, monkeypatch):
    monkeypatch.setenv(cache_folder.VARIABLE, "/scratch/kernels")
    cache_folder.choose_cache_folder(nothing_writable / "package")
    assert os.environ[cache_folder.VARIABLE] == "/scratch/kernels"


def test_nothing_is_set_where_the_package_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv(cache_folder.VARIABLE, "")  # remembered, and put back in the end
    monkeypatch.delenv(cache_folder.VARIABLE)
    cache_folder.choose_cache_folder(tmp_path)
    assert cache_folder.VARIABLE not in os.environ
