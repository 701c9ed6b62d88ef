"""A word that is nearly right is answered with the right one; a run is found in its work folder."""

from __future__ import annotations

import pytest

from glee.cli import run


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("analyse talk.mp4", "analyze"),
        ("modle info", "model"),
        ("model imprt", "import"),
        ("preprocess --dataset disfaa --root . --out w", "did you mean disfa?"),
        ("verify --dataset bp4dplus --root .", "did you mean bp4d-plus?"),
        ("train w --preset compactt", "did you mean compact?"),
        ("analyze a.mp4 --formatt openface", "--format"),
        ("predict nope.mp4", "glee predict RUN talk.mp4 -o talk.csv"),
        ("predict .", "glee predict RUN talk.mp4 -o talk.csv"),
        ("predict . nope.mp4", "Missing option '-o' / '--output'; see `glee predict --help`"),
        ("synth o --layout disfaplus", "did you mean disfa-plus?"),
        ("evaluate nope", "nope: no such folder; give a run, such as WORK/runs/compact"),
        ("analyze a.mp4 -o o --run nope", "nope: no such folder; give a run"),
    ],
)
def test_the_nearest_is_named(words, answer, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(words.split()) != 0
    said = capsys.readouterr().err
    assert answer in said
    assert said.count("\n") == 1


def test_the_only_run_of_a_work_folder_is_taken(capsys, tmp_path):
    """Seen by the complaint, which names what is looked into."""
    (tmp_path / "shards").mkdir()
    (tmp_path / "runs" / "compact" / "fold1").mkdir(parents=True)
    assert run(["evaluate", str(tmp_path)]) == 1
    assert f"{tmp_path / 'runs' / 'compact'}: no fold is trained" in capsys.readouterr().err
    (tmp_path / "runs" / "paper" / "fold1").mkdir(parents=True)
    assert run(["evaluate", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "has several runs; give one of" in said
    assert str(tmp_path / "runs" / "paper") in said
