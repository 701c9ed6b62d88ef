"""Whatever bytes a file holds, its reader raises a GleeError or gives sound content."""

from __future__ import annotations

import io
import tracemalloc
from contextlib import suppress

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from glee.errors import GleeError, ShardError
from glee.fitting.importers.bfm import read_bfm2017
from glee.fitting.importers.generic_npz import read_generic_npz
from glee.fitting.importers.lsfm import read_lsfm
from glee.fitting.importers.meshes import read_obj, read_ply_vertices
from glee.fitting.importers.user_files import read_landmarks
from glee.fitting.morphable_model.model_file import load_model, read_model, write_model
from glee.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from glee.model.network.build_glee_net import build_glee_net
from glee.model.network.config import GLEENetConfig
from glee.pipeline.cluster.options import OPTIONS_FILE
from glee.pipeline.images.crops import encode_crop
from glee.pipeline.shards.shard import (
    FrameArrays,
    ShardHeader,
    content_digest,
    read_shard,
    write_shard,
)
from glee.pipeline.synthesis.clips import read_truth, synthesise
from glee.pipeline.work_folder import read_options

FAST = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
MEMORY = 64 << 20
N = 30


def mesh():
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, 3)), rng.integers(0, N, (40, 3))


def shard(path):
    header = ShardHeader(
        *("disfa", "SN001", "clip", 0, 3, "a.avi", 1, "00", 20.0, (64, 48), "exact 1", {}, "0"),
        au_names=("AU1",),
        label_kind="intensity",
    )
    frames = FrameArrays(
        *(np.arange(3), np.ones(3, bool), np.zeros(3, np.uint8), np.ones(3, np.float32)),
        np.zeros((3, 68, 2), np.float32),
        np.zeros((3, 2, 3)),
    )
    crops = [encode_crop(np.full((32, 32, 3), 9, np.uint8))] * 3
    write_shard(path, header, frames, crops, np.zeros((3, 1), np.int8), crop_size=32)


def lsfm(path):
    mean, triangles = mesh()
    components = np.linalg.qr(np.random.default_rng(1).normal(size=(3 * N, 4)))[0]
    content = {"mean": mean.ravel(), "components": components, "eigenvalues": np.ones(4)}
    savemat(path, {**content, "trilist": triangles}, do_compression=True)


def bfm(path):
    mean, triangles = mesh()
    with h5py.File(path, "w") as file:
        for kind in ("shape", "expression"):
            file[f"{kind}/model/mean"] = mean.ravel()
            file[f"{kind}/model/pcaBasis"] = np.random.default_rng(1).normal(size=(3 * N, 4))
            file[f"{kind}/model/pcaVariance"] = np.ones(4)
        file["shape/representer/cells"] = triangles.T


def npz(path):
    mean, triangles = mesh()
    modes = np.random.default_rng(1).normal(size=(4, N, 3))
    np.savez_compressed(path, mean=mean, identity=modes, triangles=triangles, unit="mm")


def obj(path):
    mean, triangles = mesh()
    lines = [f"v {x} {y} {z}" for x, y, z in mean] + ["vt 0.1 0.2"]
    lines += [f"f {a + 1}/1 {b + 1} {c - N}" for a, b, c in triangles]
    path.write_text("\n".join(lines))


def ply(path):
    form = "ply\nformat binary_little_endian 1.0\nelement vertex 30\n"
    form += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    path.write_bytes(form.encode() + mesh()[0].astype("<f4").tobytes())


def ply_text(path):
    form = "ply\nformat ascii 1.0\nelement vertex 30\n"
    form += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    path.write_text(form + "\n".join(f"{x} {y} {z}" for x, y, z in mesh()[0]))


def options(path):
    path.write_text('format = 1\n[preprocess]\ndetector = "dlib"\nquality = 95\n')


def checkpoint(path):
    config = GLEENetConfig(("AU1", "AU2"), expression="none", classifier="mlp", token_hidden=8)
    weights = build_glee_net(config).state_dict()
    save_checkpoint(
        path, Checkpoint(config, weights, ("SN001",), ("SN002",), "disfa", "m", None, True)
    )
    load_checkpoint(path)  # what it imports the first time is none of its memory


def indices(path):
    text = {".json": str(list(range(68))), ".txt": "\n".join(map(str, range(68)))}
    if path.suffix == ".npy":
        np.save(path, np.arange(68))
    elif path.suffix == ".npz":
        np.savez(path, landmarks=np.arange(68))
    else:
        path.write_text(text[path.suffix])


def landmarks(path):
    return read_landmarks(path, 68)


FORMATS = {
    "shard.h5": (shard, read_shard),
    "lsfm.mat": (lsfm, lambda path: read_lsfm(path, 4)),
    "bfm.h5": (bfm, lambda path: read_bfm2017(path, 4)),
    "model.npz": (npz, lambda path: read_generic_npz(path, 4)),
    "mesh.obj": (obj, read_obj),
    "mesh.ply": (ply, read_ply_vertices),
    "text.ply": (ply_text, read_ply_vertices),
    OPTIONS_FILE: (options, lambda path: read_options(path.parent)),
    "checkpoint.pt": (checkpoint, load_checkpoint),
    "points.json": (indices, landmarks),
    "points.txt": (indices, landmarks),
    "points.npy": (indices, landmarks),
    "points.npz": (indices, landmarks),
}


class Files(dict):
    """Name -> bytes; short where a failing test shows it."""

    def __repr__(self):
        return f"<files {sorted(self)}>"


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """A valid file of each format: name -> bytes."""
    folder = tmp_path_factory.mktemp("valid")
    for name, (write, _) in FORMATS.items():
        write(folder / name)
    return Files({name: (folder / name).read_bytes() for name in FORMATS})


@st.composite
def damage(draw):
    """A function that damages bytes: other bytes, a cut, a piece doubled or left out."""
    kind = draw(st.sampled_from(("bytes", "bytes", "bytes", "cut", "double", "drop", "random")))
    places = draw(st.lists(st.floats(0, 0.999999), min_size=2, max_size=8))
    values = draw(st.binary(min_size=8, max_size=8))
    random = draw(st.binary(max_size=200))

    def apply(content):
        at = sorted(int(place * len(content)) for place in places)
        if kind == "bytes":
            changed = bytearray(content)
            for place, value in zip(at, values, strict=False):
                changed[place] = value
            return bytes(changed)
        if kind == "random":
            return random
        begin, end = at[0], at[-1]
        middle = {"cut": b"", "double": content[begin:end] * 2, "drop": b""}[kind]
        return content[:begin] + middle + (b"" if kind == "cut" else content[end:])

    return apply


def attempt(read, path, content):
    """What the reader gives; None where it raises a GleeError of one line. Memory is bounded."""
    path.write_bytes(content)
    tracemalloc.start()
    try:
        return read(path)
    except GleeError as error:
        said = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY
    assert "\n" not in said
    assert path.name in said
    return None


@pytest.mark.parametrize("name", FORMATS)
def test_valid_files_are_read(name, valid, tmp_path):
    assert attempt(FORMATS[name][1], tmp_path / name, valid[name]) is not None


@pytest.mark.parametrize("name", [n for n in FORMATS if n not in ("shard.h5", "lsfm.mat")])
@FAST
@given(damage=damage())
def test_damaged_files(name, damage, valid, tmp_path):
    attempt(FORMATS[name][1], tmp_path / name, damage(valid[name]))


@settings(FAST, max_examples=10)  # each is read by a process of its own
@given(damage=damage())
def test_damaged_matlab_files(damage, valid, tmp_path):
    attempt(FORMATS["lsfm.mat"][1], tmp_path / "lsfm.mat", damage(valid["lsfm.mat"]))


@FAST
@given(damage=damage())
def test_damaged_shards_are_never_taken_for_whole(damage, valid, tmp_path):
    path = tmp_path / "shard.h5"
    content = damage(valid["shard.h5"])
    found = attempt(read_shard, path, content)
    assert found is None or content == valid["shard.h5"]
    try:
        read_shard(path, verify=False).crops()
        content_digest(path)
    except ShardError:
        assert found is None


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Valid files that take longer to make: model.h5 and a truth file."""
    folder = tmp_path_factory.mktemp("large")
    write_model(folder / "model.h5", load_model())
    synthesise(folder / "s", subjects=1, frames=2, size=(64, 64), seed=1)
    truth = next((folder / "s").rglob("truth/*.h5"))
    content = {"model.h5": (folder / "model.h5").read_bytes(), "truth.h5": truth.read_bytes()}
    return Files(content)


@pytest.mark.parametrize(("name", "read"), [("model.h5", read_model), ("truth.h5", read_truth)])
@settings(FAST, max_examples=8)
@given(damage=damage())
def test_damaged_large_files(name, read, damage, large, tmp_path):
    # In the head of the file, where the structure is.
    head, rest = large[name][:6000], large[name][6000:]
    path = tmp_path / name
    path.write_bytes(damage(head) + rest)
    with suppress(GleeError):
        read(path)


@pytest.mark.parametrize("shape", [(10**12,), (2**40, 2**20), (1, 2**62)])
@pytest.mark.parametrize("name", ["model.npz", "points.npy", "points.npz"])
def test_a_header_that_claims_a_huge_array(name, shape, tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<i8", "fortran_order": False, "shape": shape}
    )
    content = header.getvalue()
    if name.endswith(".npz"):
        import zipfile

        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for member in ("mean", "identity", "triangles", "landmarks"):
                archive.writestr(f"{member}.npy", content)
        content = packed.getvalue()
    assert attempt(FORMATS[name][1], tmp_path / name, content) is None


@pytest.mark.parametrize("size", [10**11, 10**17])
def test_a_dataset_that_claims_to_be_huge(size, tmp_path):
    bfm(tmp_path / "right.h5")
    with h5py.File(tmp_path / "right.h5", "r+") as file:
        del file["shape/model/mean"]
        file.create_dataset("shape/model/mean", shape=(size,), dtype="f4", chunks=(1024,))
    content = (tmp_path / "right.h5").read_bytes()
    assert attempt(FORMATS["bfm.h5"][1], tmp_path / "bfm.h5", content) is None
