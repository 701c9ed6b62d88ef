"""The engines beside one another, on pictures; and which of them runs where."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from glee.errors import ClusterError, UsageError, WeightsError
from glee.pipeline.chunk import ChunkTask, make_shard
from glee.pipeline.clips import Clip
from glee.pipeline.images.frames import index_frames
from glee.pipeline.landmarks.backends import BackendSettings, load_detector
from glee.pipeline.landmarks.detector import TurnedBox
from glee.pipeline.landmarks.mesh import backend, weights
from glee.pipeline.landmarks.mesh.backend import MeshDetector
from glee.pipeline.landmarks.mesh.engines.ncnn_graph import Graph, Network, matrix
from glee.pipeline.landmarks.mesh.weights import Parameters
from glee.pipeline.options import PreprocessOptions

# Units: crop pixels, and of outputs that are probabilities, one.
POINTS, PROBABILITY = 2e-3, 1e-4


@pytest.fixture(scope="module")
def ncnn():
    return MeshDetector(variant="ncnn")


@pytest.fixture(scope="module")
def torch():
    return MeshDetector(variant="torch")


@pytest.fixture(scope="module")
def picture(real_folder):
    cv2 = pytest.importorskip("cv2")
    return np.ascontiguousarray(cv2.imread(str(real_folder / "single_face.jpg"))[..., ::-1])


def test_points_of_a_face(ncnn, torch, picture):
    """Straight, turned by a quarter, half out of the picture; and no face at all."""
    (box, _), *_ = torch.detect(picture)
    side = box.right - box.left
    for other in (
        box,
        TurnedBox(*box[:4], box.angle + np.pi / 2),
        TurnedBox(-side / 2, box.top, side / 2, box.bottom, 0.0),
        TurnedBox(0.0, 0.0, 60.0, 60.0, 0.0),
    ):
        ours, sure, seen = ncnn.landmarks_seen(picture, other)
        points, confidence, visible = torch.landmarks_seen(picture, other)
        assert np.abs(ours - points).max() < POINTS
        assert sure == pytest.approx(confidence, abs=PROBABILITY)
        np.testing.assert_allclose(seen, visible, atol=PROBABILITY)
        np.testing.assert_allclose(
            ncnn.blendshapes(ours), torch.blendshapes(points), atol=PROBABILITY
        )


@pytest.mark.parametrize("thorough", [False, True])
def test_faces_of_a_picture(ncnn, torch, picture, thorough):
    """As it is, and small in a large picture, which thorough search looks for in windows."""
    wide = np.tile(picture, (1, 2, 1))
    for image in (picture, wide):
        ours = ncnn.detect(image, thorough=thorough)
        theirs = torch.detect(image, thorough=thorough)
        assert len(ours) == len(theirs) > 0
        for (box, score), (other, expected) in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(box, other, atol=0.02)
            assert score == pytest.approx(expected, abs=PROBABILITY)


def test_a_picture_of_another_shape(ncnn, torch, picture):
    """Windows of a search need not be squares."""
    pixels = picture[:160, :288]
    for ours, theirs in zip(ncnn._engine.faces(pixels), torch._engine.faces(pixels), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=0.002)


def test_what_is_beside_a_crop_changes_nothing(ncnn, picture):
    crops = np.stack([picture[:256, :256], picture[60:316, 40:296], 0 * picture[:256, :256]])
    together = ncnn._engine.mesh(crops)
    for number, crop in enumerate(crops):
        alone = ncnn._engine.mesh(crop[None])
        for many, one in zip(together, alone, strict=True):
            np.testing.assert_array_equal(many[number], one[0])


def test_ncnn_is_the_default_and_torch_is_not_imported():
    code = (
        "import sys; from glee.pipeline.landmarks.backends import load_detector;"
        "print(load_detector('mesh').version, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["face_landmarker-64184e22-ncnn", "False"]


def test_where_ncnn_is_not_installed_torch_runs_and_the_version_says_so(monkeypatch):
    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    assert MeshDetector().version.endswith("-torch")
    monkeypatch.setitem(sys.modules, "ncnn", None)
    with pytest.raises(WeightsError, match=r"detector mesh: ncnn cannot be imported .*install"):
        MeshDetector(variant="ncnn")


def test_an_engine_can_be_chosen():
    assert load_detector("mesh:torch").version.endswith("-torch")
    with pytest.raises(UsageError, match=r"detector mesh:onnx is unknown; known are mesh:ncnn and"):
        load_detector("mesh:onnx")
    with pytest.raises(UsageError, match=r"mesh:ncnn runs on the CPU; leave it out for cuda"):
        load_detector("mesh:ncnn", BackendSettings(device="cuda"))


def test_a_process_with_another_engine_than_the_run_refuses(tmp_path, real_folder):
    video = real_folder / "single_face.mp4"
    clip = Clip("folder", "real", "single_face", real_folder, video)
    index = index_frames(clip)
    task = ChunkTask(
        clip=clip,
        index=index.part(0, 2),
        start=0,
        stop=2,
        path=tmp_path / "000000.h5",
        options=PreprocessOptions(detector="mesh:torch"),
        detector="mesh face_landmarker-64184e22-ncnn",
    )
    with pytest.raises(ClusterError, match=r"has the detector mesh .*-torch, the run mesh .*-ncnn"):
        make_shard(task)
    assert not task.path.exists()
    make_shard(replace(task, detector="mesh face_landmarker-64184e22-torch"))
    assert task.path.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a.bias": None}, r"a\.bias is missing"),
        ({"a.more": np.zeros(3, np.float16)}, r"a\.more is unknown"),
        ({"a.bias": np.zeros(4, np.float16)}, r"\(4,\) float16, \(3,\) is needed"),
        ({"a.bias": np.zeros(3, np.int64)}, r"\(3,\) int64, \(3,\) is needed"),
    ],
)
def test_parameters_that_do_not_fit(changes, message):
    arrays = {"a.bias": np.zeros(3, np.float16), "b.bias": np.zeros(1, np.float16), **changes}
    given = {name: array for name, array in arrays.items() if array is not None}

    def take():
        parameters = Parameters(given, "a", weights.REMEDY)
        parameters.take("bias", 3)
        parameters.finish()

    with pytest.raises(WeightsError, match=message):
        take()


@pytest.mark.parametrize("rows", [1, 3, 97])
def test_products_of_a_graph(rows):
    """A chain of layers, one result taken twice, against NumPy."""
    rng = np.random.default_rng(rows)
    given = rng.normal(size=(rows, 24)).astype(np.float32)
    left = rng.normal(size=(rows, rows)).astype(np.float32)
    right = rng.normal(size=(24, 24)).astype(np.float32)
    column, row = rng.normal(size=(rows, 1)), rng.normal(size=24)
    graph = Graph()
    name = graph.layer("Input", [], name="input")
    first = graph.relu(graph.product(left, name, column.astype(np.float32)))
    last = graph.added(graph.product_by(first, right, row.astype(np.float32)), first)
    network = Network(graph, graph.results(last=last, first=first))
    found = network.run({"input": matrix(given)})["last"]
    expected = np.maximum(left @ given + column, 0)
    np.testing.assert_allclose(found, expected @ right + row + expected, rtol=1e-4, atol=1e-4)
