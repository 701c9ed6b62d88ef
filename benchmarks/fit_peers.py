"""The peers of the fit: scipy's least squares on our residuals, eos, and the BLAS bound."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack
from scipy.optimize import least_squares

from glee.fitting.morphable_model.morphable_model import MorphableModel
from glee.fitting.solver.fitter import Fitter
from glee.fitting.solver.levenberg_marquardt import turned_by
from glee.fitting.solver.problem import Frame, State, new_workspace
from glee.fitting.solver.residuals import begin_frame, evaluate, linearise

EOS_INSTALL = "pip install eos-py==1.5.0"


def fit_by_scipy(
    fitter: Fitter,
    frame: Frame,
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    method: str,
) -> tuple[float, NDArray[np.float64]]:
    """One fit by ``least_squares`` with our residuals and Jacobian; its energy and coefficients."""
    points, scheme, loss, prior = fitter.points, fitter.scheme, fitter.loss, fitter.prior
    work, root = new_workspace(points, scheme, loss), np.sqrt(prior.weight)
    count = points.coefficients
    turn = np.empty((3, 3))
    begin_frame(points, frame, scheme, State(np.zeros(count), rotation, translation), work)
    ridge = np.hstack([np.diag(root), np.zeros((count, 6))])

    def state_at(z: NDArray[np.float64]) -> State:
        turned_by(z[-6:-3], rotation, turn)
        return State(z[:-6], turn, translation + z[-3:])

    def values(z: NDArray[np.float64]) -> NDArray[np.float64]:
        evaluate(points, frame, scheme, loss, state_at(z), work)
        return np.concatenate([work.value, root * z[:-6]])

    def jacobian(z: NDArray[np.float64]) -> NDArray[np.float64]:
        values(z)
        linearise(points, frame, loss, state_at(z), work)
        return np.vstack([work.jacobian[: scheme.rows, work.layout.places(count)], ridge])

    bounds = (-np.inf, np.inf)
    start = np.zeros(count + 6)
    if method == "trf":
        wide = np.full(6, np.inf)
        bounds = np.append(prior.lower, -wide), np.append(prior.upper, wide)
        start[:-6] = np.clip(start[:-6], prior.lower + 1e-6, prior.upper - 1e-6)
    tolerances = {"ftol": fitter.stop.tolerance, "xtol": 1e-12, "gtol": 1e-12}
    found = least_squares(values, start, jacobian, bounds=bounds, method=method, **tolerances)
    return float(2 * found.cost), found.x[:-6]


def blas_seconds(rows: int, unknowns: int, repeats: int = 300) -> float:
    """Median time of one syrk and one posv of the smaller of both systems, float32."""
    size, length = min(rows, unknowns), max(rows, unknowns)
    random = np.random.default_rng(0)
    matrix = np.asfortranarray(random.normal(size=(size, length)).astype(np.float32))
    system = np.asfortranarray(matrix @ matrix.T + 9 * np.eye(size, dtype=np.float32))
    right = np.ones(size, np.float32)

    def step() -> None:
        blas.ssyrk(1.0, matrix)
        lapack.sposv(system, right)

    return median_seconds(step, repeats)


def median_seconds(function: Callable[[], Any], repeats: int) -> float:
    """Median processor time of this thread; a busy machine does not change it much."""
    function()
    times = []
    for _ in range(repeats):
        begin = time.thread_time()
        function()
        times.append(time.thread_time() - begin)
    return float(np.median(times))


def eos_fit(
    model: MorphableModel, landmarks: NDArray[np.float64], size: tuple[int, int]
) -> dict[str, Callable[[int], Any]]:
    """Functions that fit frame i with eos and our model, by name; none where it is not installed.

    With contours, as its demo and documentation use it, and without. SFM, eos's own model, is not
    in its wheel.
    """
    try:
        import eos
    except ImportError:
        return {}
    points = model.landmarks["anatomical"]
    nearest = points.vertices[np.arange(68), points.weights.argmax(1)]
    full = _eos_model(eos, model, nearest)
    mapper = eos.core.LandmarkMapper()
    seen = [
        [eos.core.Landmark(str(i), xy.astype(np.float32)) for i, xy in enumerate(frame)]
        for frame in landmarks
    ]
    contour = _eos_contour(eos, model)
    solve = eos.fitting.fit_shape_and_pose
    return {
        "eos, with contours": lambda i: solve(full, seen[i], mapper, *size, *contour),
        "eos, landmarks only": lambda i: solve(full, seen[i], mapper, *size),
    }


def _eos_model(eos: Any, model: MorphableModel, nearest: NDArray[np.int32]) -> Any:
    basis = model.identity.reshape(len(model.identity), -1).T.astype(np.float32)
    length = np.linalg.norm(basis, axis=0)
    triangles = [list(map(int, t)) for t in model.triangles]
    flat = (100 * model.mean).reshape(-1).astype(np.float32)  # millimetres, as SFM
    shape = eos.morphablemodel.PcaModel(flat, basis / length, (100 * length) ** 2, triangles)
    expressions = [
        eos.morphablemodel.Blendshape(
            name, np.ascontiguousarray((100 * model.expression[k]).reshape(-1), np.float32)
        )
        for k, name in enumerate(model.expression_names)
    ]
    names = {str(i): int(vertex) for i, vertex in enumerate(nearest)}
    empty = eos.morphablemodel.PcaModel()
    return eos.morphablemodel.MorphableModel(shape, expressions, empty, vertex_definitions=names)


def _eos_contour(eos: Any, model: MorphableModel) -> tuple[Any, Any, Any]:
    """Edge topology (indices from 1), contour landmarks and model contour of our model."""
    edges: dict[tuple[int, int], list[int]] = {}
    for face, triangle in enumerate(model.triangles.tolist()):
        for a, b in zip(triangle, triangle[1:] + triangle[:1], strict=True):
            edges.setdefault((min(a, b), max(a, b)), []).append(face + 1)
    inner = {edge: faces for edge, faces in edges.items() if len(faces) == 2}
    topology = eos.morphablemodel.EdgeTopology(
        list(inner.values()), [[a + 1, b + 1] for a, b in inner]
    )
    lines = model.jaw_candidates
    at = lines.vertices[np.arange(17), -1, lines.weights[:, -1].argmax(1)].tolist()
    with TemporaryDirectory() as folder:
        landmarks, contour = Path(folder) / "landmarks.txt", Path(folder) / "contour.json"
        right, left = [str(i) for i in range(8)], [str(i) for i in range(9, 17)]
        landmarks.write_text(f"[contour_landmarks]\nright = {right}\nleft = {left}\n")
        content = {"right_contour": at[:8], "left_contour": at[9:]}
        contour.write_text(json.dumps({"value0": content}))
        return (
            topology,
            eos.fitting.ContourLandmarks.load(str(landmarks)),
            eos.fitting.ModelContour.load(str(contour)),
        )
