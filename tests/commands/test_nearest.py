"""A word that is nearly right is answered with the right one; a run is found in its work folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from glee.cli import run


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("analyse talk.mp4", "analyze"),
        ("modle info", "model"),
        ("model imprt", "import"),
        ("preprocess --dataset disfaa --root . --out w", "did you mean disfa?"),
        ("preprocess --dataset DISFA --root . --out w", "did you mean disfa?"),
        ("preprocess --dataset disfa --root . --out w --cluster slrum", "did you mean slurm?"),
        ("fit3d w --cluster Slurm", "did you mean slurm?"),
        ("cluster preview --cluster slrum", "did you mean slurm?"),
        ("doctor --cluster slrum", "did you mean slurm?"),
        ("cluster preview", "or as kind in [cluster]"),
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


def test_an_option_of_a_cluster_is_answered_with_the_nearest(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("glee.toml").write_text('[cluster]\nkind = "slurm"\nqeue = "cpu"\n')
    assert run(["cluster", "preview"]) == 2
    assert "qeue is no cluster option; did you mean queue?" in capsys.readouterr().err


def test_the_cluster_of_the_settings_need_not_be_given(capsys, tmp_path, monkeypatch):
    pytest.importorskip("dask_jobqueue", reason="the extra cluster is not installed")
    monkeypatch.chdir(tmp_path)
    Path("glee.toml").write_text('[cluster]\nkind = "slurm"\nqueue = "cpu"\n')
    assert run(["cluster", "preview"]) == 0
    assert "#SBATCH -p cpu" in capsys.readouterr().out


def test_a_work_folder_that_is_meant_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("work/disfa/shards").mkdir(parents=True)
    Path("DISFA").mkdir()
    for command in ("verify", "status", "fit3d", "report"):
        assert run([command, "work"]) == 1
        assert "its folder work/disfa is one; give that" in capsys.readouterr().err
        assert run([command, "work/dsfa"]) == 1
        assert "no such folder" in (said := capsys.readouterr().err)
        assert "did you mean work/disfa?" in said
        assert run([command, "DISFA"]) == 1
        assert "give it by --dataset and --root" in capsys.readouterr().err


def test_who_gives_a_video_for_a_shard_is_not_told_to_remove_it(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("talk.mp4", "talk.csv"):
        Path(name).write_bytes(b"frame,face_id,timestamp\n")
        for words in (["export", name, "-o", "x.glb"], ["inspect", name]):
            assert run(words) == 1
            said = capsys.readouterr().err
            assert f"{name}: is no shard" in said
            assert "glee analyze" in said
            assert "remove" not in said
    # A shard that was cut is a damaged one.
    Path("000000.h5").write_bytes(b"")
    assert run(["inspect", "000000.h5"]) == 1
    assert "cut or damaged shard" in capsys.readouterr().err
    Path("out").mkdir()
    assert run(["export", "out", "-o", "x.glb"]) == 2
    assert "--format gltf" in capsys.readouterr().err


def test_a_folder_of_tables_is_told_how_its_report_is_made(capsys, tmp_path):
    (tmp_path / "talk.csv").write_text("frame\n")
    assert run(["report", str(tmp_path)]) == 1
    assert f"`glee analyze VIDEO -o {tmp_path} --report`" in capsys.readouterr().err


def test_what_writes_a_model_names_the_file(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("neutral.glb", "neutral.obj", "model.npz"):
        assert run(["model", "export", "-o", name]) == 0
        assert capsys.readouterr().out.startswith(f"{name}: makehuman-60")


@pytest.mark.parametrize(
    "words",
    [
        "analyze talkk.mp4 -o o",
        "events talkk.mp4 -o o.csv",
        "agree talkk.mp4 other",
        "preprocess --dataset folder --root talkk.mp4 --out w",
        "predict RUN talkk.mp4 -o o.csv",
    ],
)
def test_a_file_that_is_not_there_is_answered_with_the_nearest(
    words, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("talk.mp4").touch()
    Path("RUN/fold1").mkdir(parents=True)
    assert run(words.split()) == 1
    assert "talkk.mp4: no such file" in (said := capsys.readouterr().err)
    assert "did you mean talk.mp4?" in said
