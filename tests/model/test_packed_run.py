"""Packed runs: what comes out is what went in, and nothing else is taken for one."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import struct
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from glee.cli import run as run_glee
from glee.errors import WeightsError
from glee.model.checkpoint import CHECKPOINT_FILE, load_checkpoint, save_checkpoint
from glee.model.network import config
from glee.model.options import train_options
from glee.model.packed_run import NO_LICENCE, read_packed_run, without_paths
from glee.model.prediction.predict import load_run, predict
from glee.model.training.training import train

QUICK = {"ablation": "no-gb-lb", "batch": 16, "epochs": 1, "person_specific": True}
COMMENT = "sha256 of run.json: "


@pytest.fixture(scope="module")
def trained(work, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "mine"
    train(work, out, train_options("compact", **QUICK), device="cpu")
    return out


@pytest.fixture(scope="module")
def packed(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "run.zip"
    assert run_glee(["run", "pack", str(trained), "-o", str(out), "--licence", "CC0, Anna"]) == 0
    return out


def test_probabilities_are_the_same_bits(work, trained, packed):
    expected, found = predict(trained, work), predict(packed, work)
    assert expected.keys() == found.keys()
    for fold, one in expected.items():
        assert np.array_equal(one.probability, found[fold].probability)


def test_all_that_predictions_need_comes_back(trained, packed):
    for name, checkpoint in load_run(trained).items():
        back = read_packed_run(packed).folds[name]
        for field in ("config", "train_subjects", "test_subjects", "dataset", "fit_model"):
            assert getattr(back, field) == getattr(checkpoint, field), field
        assert back.provenance == checkpoint.provenance
        assert torch.equal(back.reference, checkpoint.reference)
        assert back.weights.keys() == checkpoint.weights.keys()
        for weight, value in checkpoint.weights.items():
            assert torch.equal(back.weights[weight], value)
            assert back.weights[weight].dtype == value.dtype


def test_whole_networks_too(work, tiny, tmp_path, monkeypatch):
    """With all branches; their counters of batches are whole numbers without a dimension."""
    monkeypatch.setitem(config.PRESETS, "compact", dict(config.PRESETS["compact"]))
    options = train_options("compact", epochs=1, batch=16, seed=3)
    train(work, tmp_path / "run", options, fold="1", device="cpu")
    assert run_glee(["run", "pack", str(tmp_path / "run"), "-o", str(tmp_path / "r.zip")]) == 0
    expected, found = predict(tmp_path / "run", work), predict(tmp_path / "r.zip", work)
    assert np.array_equal(expected["1"].probability, found["1"].probability)


def test_the_same_run_gives_the_same_file(trained, packed, tmp_path):
    words = ["run", "pack", str(trained), "-o", str(tmp_path / "again.zip")]
    assert run_glee([*words, "--licence", "CC0, Anna"]) == 0
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_no_path_and_no_pickle_is_in_it(trained, tmp_path, work):
    """Options and provenance of a run that was made with files of this machine."""
    made = tmp_path / "secret-place" / "run"
    for file in ("options.toml", "fold1/checkpoint.pt"):
        (made / file).parent.mkdir(parents=True, exist_ok=True)
        (made / file).write_bytes((trained / file).read_bytes())
    text = (made / "options.toml").read_text()
    for name in ("split", "init"):
        text = text.replace(f'{name} = ""', f'{name} = "/home/secret-place/{name}.x"')
    (made / "options.toml").write_text(text)
    checkpoint = load_checkpoint(made / "fold1" / CHECKPOINT_FILE)
    provenance = {
        "detector": "mesh",
        "preprocess": {"detector": "mesh+refiner:/home/secret-place/r.npz"},
        "fit3d": {"model": "C:\\secret-place\\m.h5", "identity": "subject"},
    }
    save_checkpoint(made / "fold1" / CHECKPOINT_FILE, replace(checkpoint, provenance=provenance))
    assert run_glee(["run", "pack", str(made), "-o", str(tmp_path / "r.zip")]) == 0
    assert b"secret-place" not in (tmp_path / "r.zip").read_bytes()
    back = read_packed_run(tmp_path / "r.zip")
    assert (back.options["split"], back.options["init"]) == ("split.x", "init.x")
    assert back.folds["1"].provenance["preprocess"] == {"detector": "mesh+refiner:r.npz"}
    assert back.folds["1"].provenance["fit3d"]["model"] == "m.h5"
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        names = archive.namelist()
    assert {name.rsplit(".", 1)[1] for name in names} == {"json", "npy"}


def test_paths_of_all_systems_are_shortened():
    given = {"a": ["/x/y", "C:\\x\\y.h5", "fan:/x/y", "mesh+refiner:0123", "relative/y", 3, None]}
    expected = ["y", "y.h5", "fan:y", "mesh+refiner:0123", "y", 3, None]
    assert without_paths(given) == {"a": expected}


def test_what_is_in_it_is_shown(packed, tmp_path, trained, capsys):
    capsys.readouterr()
    assert run_glee(["run", "info", str(packed), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["name"], facts["licence"], facts["folds"]) == (
        "mine",
        "CC0, Anna",
        ["1", "2", "3"],
    )
    assert (facts["dataset"], facts["options"]["ablation"]) == ("disfa", "no-gb-lb")
    assert run_glee(["run", "info", str(packed)]) == 0
    assert "licence    CC0, Anna\n" in capsys.readouterr().out
    assert run_glee(["run", "pack", str(trained), "-o", str(tmp_path / "r.zip")]) == 0
    assert "no licence is stated" in capsys.readouterr().err
    assert read_packed_run(tmp_path / "r.zip").licence == NO_LICENCE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "r.tar"], "ends in .zip"),
        (["-o", "r.zip", "--licence", " "], "is one line"),
        (["-o", "r.zip", "--licence", "a\nb"], "is one line"),
    ],
)
def test_what_cannot_be_packed(trained, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert run_glee(["run", "pack", str(trained), *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def repacked(packed, out, change, *, sealed=True):
    """The packed run with its members changed, sealed anew as a forger would."""
    with zipfile.ZipFile(packed) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
        comment = archive.comment
    head = json.loads(members["run.json"])
    change(members, head)
    if sealed:
        text = json.dumps(head).encode()
        members["run.json"] = text
        comment = (COMMENT + hashlib.sha256(text).hexdigest()).encode()
    with zipfile.ZipFile(out, "w") as archive:
        archive.comment = comment
        for name, content in members.items():
            archive.writestr(name, content)
    return out


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), **options)
    return buffer.getvalue()


WEIGHT = "fold0/weights/classifier.joint.weight.npy"


def put(name, content):
    """A change that puts a member in, with its digest."""

    def change(members, head):
        members[name] = content(members[name]) if callable(content) else content
        head["sha256"][name] = hashlib.sha256(members[name]).hexdigest()

    return change


def in_head(*keys, value):
    def change(members, head):
        at = head
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = value

    return change


def without(name):
    return lambda members, head: members.pop(name)


FORGED = {
    "a path out of the folder": (put("../../evil", b"x"), "'../../evil', which is of no packed"),
    "a file more": (put("fold0/checkpoint.pt", pickle.dumps(1)), "which is of no packed run"),
    "a weight less": (without(WEIGHT), f"lacks {WEIGHT}"),
    "another shape": (put(WEIGHT, npy(np.zeros((3, 3), "f4"))), "is of another size"),
    "another type": (put(WEIGHT, lambda old: old.replace(b"<f4", b"<i4")), "type int32"),
    "big-endian": (put(WEIGHT, lambda old: old.replace(b"<f4", b">f4")), "type >f4"),
    "objects": (put(WEIGHT, lambda old: old.replace(b"'<f4'", b"'|O' ")), "allow_pickle"),
    "another version": (in_head("version", value=2), "version 2"),
    "another format": (in_head("format", value="zip"), "is 'zip'"),
    "no folds": (in_head("folds", value={}), "has no fold"),
    "a list of folds": (in_head("folds", value=[]), "has no fold"),
    "an endless network": (in_head("folds", "1", "config", "encoders", value=10**7), "larger than"),
    "a wide network": (in_head("folds", "1", "config", "token_width", value=10**9), "larger than"),
    "text for a number": (in_head("folds", "1", "config", "heads", value="4"), "another kind"),
    "an unknown option": (in_head("folds", "1", "config", "x", value=1), "does not know"),
    "an impossible one": (in_head("folds", "1", "config", "heads", value=5), "no packed run"),
    "a fit of another kind": (
        in_head("folds", "1", "provenance", "fit3d", value={"identity": 5}),
        "another kind",
    ),
    "a path": (
        in_head("folds", "1", "provenance", "detector", value="mesh+refiner:/etc/passwd"),
        "states a path",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_files_are_one_line(packed, tmp_path, capsys, name):
    change, said = FORGED[name]
    path = repacked(packed, tmp_path / "run.zip", change)
    assert run_glee(["run", "info", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert [one.name for one in tmp_path.iterdir()] == ["run.zip"]


def test_a_weight_without_its_digest_and_a_changed_head_are_found(packed, tmp_path):
    def change(members, head):
        members[WEIGHT] = members[WEIGHT][:-1] + bytes([members[WEIGHT][-1] ^ 1])

    with pytest.raises(WeightsError, match="is not as it was packed"):
        read_packed_run(repacked(packed, tmp_path / "a.zip", change))

    def relicensed(members, head):
        members["run.json"] = members["run.json"].replace(b"CC0", b"CC1")

    with pytest.raises(WeightsError, match=r"run\.json is not as it was packed"):
        read_packed_run(repacked(packed, tmp_path / "b.zip", relicensed, sealed=False))


def test_every_altered_byte_and_cut_is_found_or_changes_nothing(packed, tmp_path):
    """Bytes of zip's own that nothing depends on, as dates are, may differ."""
    whole = packed.read_bytes()
    expected = read_packed_run(packed)
    random = np.random.default_rng(0)
    path = tmp_path / "run.zip"
    found = 0
    for place in random.integers(0, len(whole), 150).tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            back = read_packed_run(path)
        except WeightsError:
            found += 1
            continue
        assert back.facts() == expected.facts()
        for fold, checkpoint in expected.folds.items():
            for name, value in checkpoint.weights.items():
                assert torch.equal(back.folds[fold].weights[name], value)
    assert found > 100
    for place in random.integers(0, len(whole), 20).tolist():
        path.write_bytes(whole[:place])
        with pytest.raises(WeightsError):
            read_packed_run(path)


def test_bombs_are_refused_before_they_are_read(packed, tmp_path):
    with zipfile.ZipFile(packed) as archive:
        comment, text = archive.comment, archive.read("run.json")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = comment
        archive.writestr("run.json", text)
        archive.writestr(WEIGHT, bytes(300_000_000))
    assert (tmp_path / "a.zip").stat().st_size < 1_000_000
    with pytest.raises(WeightsError, match="is compressed"):
        read_packed_run(tmp_path / "a.zip")
    # Many names for the same bytes: the directory's entries all point to one place.
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.comment = comment
        archive.writestr("run.json", text)
        archive.writestr(WEIGHT, bytes(len(text)))
        first = archive.infolist()[1]
        for number in range(20):
            info = zipfile.ZipInfo(f"fold0/weights/{number:03}.npy")
            for name in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(info, name, getattr(first, name))
            archive.filelist.append(info)
            archive.NameToInfo[info.filename] = info
    with pytest.raises(WeightsError, match="more than the file's own bytes"):
        read_packed_run(tmp_path / "b.zip")


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), struct.pack("<I", 7) * 50])
def test_what_is_no_packed_run(tmp_path, capsys, content):
    path = tmp_path / "run.zip"
    path.write_bytes(content)
    for words in (["run", "info", path], ["predict", path, tmp_path, "-o", tmp_path / "p.csv"]):
        assert run_glee([str(word) for word in words]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "as `glee run pack` wrote it" in error


def test_commands_that_need_a_folder_say_so(packed, capsys):
    assert run_glee(["evaluate", str(packed)]) == 2
    assert "is a file; give the folder of a trained run" in capsys.readouterr().err
