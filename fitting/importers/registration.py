"""Lays the embedded model on another face mesh, to carry its landmarks and blendshapes over.

A fallback that users ask for by name. First a similarity (Umeyama 1991), then the embedded model's
own identity modes, then a smooth displacement of every vertex (non-rigid ICP after Amberg et al.
2007).

How accurate: on ICT-FaceKit, given its landmarks, the surfaces lie 1 mm apart on average; without
its landmarks the carried ones of eyes, nose and mouth lie 2.0 to 2.4 mm from its own. Where a flat
cheek slides on itself no surface tells where a point belongs. Carried blendshapes are the embedded
model's design on another face: against ICT-FaceKit's own they have a median cosine of 0.77 over the
face's front, 0.9 for jawOpen, mouthSmile or mouthPucker, 0.3 to 0.4 for mouthPress and noseSneer,
which the two models shape differently. What lies in the mouth follows the lips around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix, diags
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from ..morphable_model.model_file import load_model
from ..morphable_model.morphable_model import MorphableModel, SurfacePoints
from ..morphable_model.surface import NearestSurface, laplacian_of, mesh_edges, vertex_normals

Points = NDArray[np.float64]
SIMILARITY_ROUNDS, IDENTITY_ROUNDS = 40, 25
STIFFNESS = (30.0, 10.0, 5.0, 2.0, 1.0, 0.5)
ROUNDS_PER_STIFFNESS = 3
LANDMARK_WEIGHT = 4.0
# Decimetres: matches farther than this are no matches.
FARTHEST = 0.30
# A skin vertex is carried by the skin unless that is farther than this, decimetres.
SKIN_REACH = 0.05
# A carried displacement is reliable where the surfaces are closer than this, decimetres, and their
# normals' cosine is above this.
RELIABLE_DISTANCE, RELIABLE_AGREEMENT = 0.03, 0.6
# Matches of the rigid and the statistical stage: the front of the embedded head.
FRONT_Z, LOWEST_Y, HIGHEST_Y = 0.45, -1.15, 0.45


@dataclass(frozen=True, eq=False)
class Registration:
    """The embedded model laid on a target mesh of t vertices.

    Attributes
    ----------
    model : the embedded one
    deformed : (n, 3) float64, its vertices on the target, decimetres
    placement : from model to target coordinates
    correspondences : (t,) points, the place on the embedded model that lies at each target vertex
    distance : (t,) float64, how far it is from there, decimetres
    reliable : (t,) bool, where the two surfaces are close and face one way
    triangles : (m, 3) int64, the target's
    """

    model: MorphableModel
    deformed: Points
    placement: Similarity
    correspondences: SurfacePoints
    distance: Points
    reliable: NDArray[np.bool_]
    triangles: NDArray[np.int64]


def register_embedded(
    mesh: Points, triangles: NDArray[np.int64], landmarks: SurfacePoints | None
) -> Registration:
    """Lay the embedded model on a mesh.

    Parameters
    ----------
    mesh : (t, 3) float64, decimetres, y up, z to the front
    triangles : (m, 3) int64, wound outwards
    landmarks : the mesh's 68 points, or None to start from the tip of the nose (a frontal face;
        less reliable)

    Returns
    -------
    Registration
    """
    model = load_model()
    target = NearestSurface(mesh, triangles)
    known = None if landmarks is None else landmarks.on(mesh)
    placement = _placement(model, mesh, target, known)
    placement, f_shape = _identity(model, target, placement, known)
    start = placement.of(model.shape(f_shape).astype(np.float64))
    deformed = _deform(model, start, target, known)
    correspondences, distance = _correspondences(model, deformed, mesh, triangles)
    ours = correspondences.on(vertex_normals(deformed, model.triangles.astype(np.int64)))
    agreement = (ours * vertex_normals(mesh, triangles)).sum(1)
    reliable = (distance < RELIABLE_DISTANCE) & (agreement > RELIABLE_AGREEMENT)
    return Registration(model, deformed, placement, correspondences, distance, reliable, triangles)


def carry_blendshapes(registration: Registration) -> NDArray[np.float32]:
    """Carry the embedded model's 51 blendshapes to the target's vertices.

    Where the surfaces do not match reliably (inside the lips, in the mouth), the displacement is
    the smoothest that continues the reliable one over the target's own edges, so that lips part.

    Parameters
    ----------
    registration : of `register_embedded`

    Returns
    -------
    (51, t, 3) float32
        decimetres
    """
    placement, at = registration.placement, registration.correspondences
    turn = placement.scale * placement.rotation.T
    reach = np.clip(2.0 - registration.distance / FARTHEST, 0.0, 1.0)[:, None]
    shapes = np.stack([at.on(s.astype(np.float64)) for s in registration.model.expression])
    shapes = shapes @ turn * reach
    continued = _continued(registration, shapes.transpose(1, 0, 2).reshape(len(reach), -1))
    return continued.reshape(len(reach), -1, 3).transpose(1, 0, 2).astype(np.float32)


def _continued(registration: Registration, values: Points) -> Points:
    """Values (t, c) at vertices, those of unreliable ones replaced by a harmonic continuation.

    A connected part of the mesh without any reliable vertex keeps its values.
    """
    count, reliable = len(values), registration.reliable
    laplacian = laplacian_of(mesh_edges(registration.triangles), count)
    _, part = connected_components(laplacian, directed=False)
    reached = np.bincount(part, weights=reliable, minlength=part.max() + 1) > 0
    free = np.nonzero(~reliable & reached[part])[0]
    if not free.size:
        return values
    rows = laplacian[free]
    fixed = np.setdiff1d(np.arange(count), free)
    continued = values.copy()
    continued[free] = splu(rows[:, free].tocsc()).solve(-(rows[:, fixed] @ values[fixed]))
    return continued


def carry_landmarks(
    registration: Registration,
    mesh: Points,
    triangles: NDArray[np.int64],
    landmark_set: str = "anatomical",
) -> SurfacePoints:
    """Carry a landmark set of the embedded model to the target's surface.

    Parameters
    ----------
    registration : of `register_embedded`
    mesh : (t, 3) float64, the target, decimetres
    triangles : (m, 3) int64
    landmark_set : name of the set

    Returns
    -------
    SurfacePoints
        (68,) points
    """
    source = registration.model.landmarks[landmark_set]
    normals = vertex_normals(registration.deformed, _skin(registration.model))
    places = source.on(registration.deformed)
    points, _, _ = NearestSurface(mesh, triangles).query(places, source.on(normals))
    return points


def _skin(model: MorphableModel) -> NDArray[np.int64]:
    return model.part_triangles("skin", "lips").astype(np.int64)


def _front(model: MorphableModel) -> NDArray[np.int64]:
    """Vertices of the face's front, where every face model has a surface."""
    skin = np.unique(_skin(model))
    _, y, z = model.mean[skin].T
    return np.asarray(skin[(z > FRONT_Z) & (y > LOWEST_Y) & (y < HIGHEST_Y)])


def _placement(
    model: MorphableModel, mesh: Points, target: NearestSurface, known: Points | None
) -> Similarity:
    """The similarity from the embedded model to the target."""
    mean = model.mean.astype(np.float64)
    ours = model.landmarks["anatomical"].on(mean)
    if known is not None:
        return best_similarity(ours, known)
    placement = Similarity(1.0, np.eye(3), mesh[mesh[:, 2].argmax()] - ours[30])
    front = _front(model)
    normals = vertex_normals(mean, _skin(model))[front]
    for _ in range(SIMILARITY_ROUNDS):
        at, distance, _ = target.query(placement.of(mean[front]), normals @ placement.rotation.T)
        kept = distance <= np.quantile(distance, 0.8)
        moved = best_similarity(mean[front][kept], at.on(mesh)[kept])
        placement = moved if 0.6 < moved.scale < 1.6 else placement
    return placement


def _identity(
    model: MorphableModel, target: NearestSurface, placement: Similarity, known: Points | None
) -> tuple[Similarity, NDArray[np.float64]]:
    """Placement and f_shape (60,) that lay the embedded identity on the target's surface."""
    front = _front(model)
    skin = _skin(model)
    basis = model.identity[:, front].astype(np.float64)
    marks = model.at(model.landmarks["anatomical"])
    f_shape = np.zeros(len(basis))
    for step in range(IDENTITY_ROUNDS):
        shape = model.shape(f_shape).astype(np.float64)
        normals = vertex_normals(placement.of(shape), skin)[front]
        at, distance, _ = target.query(placement.of(shape[front]), normals)
        found = at.on(target.mesh)
        weight = (distance < FARTHEST) / (1.0 + (distance / 0.1) ** 2)
        here, there, modes = shape[front], found, basis
        if known is not None:
            here = np.concatenate([here, marks.mean + np.tensordot(f_shape, marks.identity, 1)])
            there = np.concatenate([there, known])
            modes = np.concatenate([basis, marks.identity], axis=1)
            weight = np.concatenate([weight, np.full(len(known), LANDMARK_WEIGHT)])
        placement = best_similarity(here, there, weight)
        wanted = placement.back(there) - here + np.tensordot(f_shape, modes, 1)
        flat = (modes * np.sqrt(weight)[:, None]).reshape(len(modes), -1)
        ridge = 0.02 * weight.sum() / len(modes) * max(1.0 - step / 12.0, 0.05)
        normal = flat @ flat.T + ridge * np.eye(len(flat))
        right = flat @ (wanted * np.sqrt(weight)[:, None]).reshape(-1)
        f_shape = np.clip(np.linalg.solve(normal, right), -3.0, 3.0)
    return placement, f_shape


def _deform(
    model: MorphableModel, start: Points, target: NearestSurface, known: Points | None
) -> Points:
    """Every vertex moved onto the target, neighbours alike, (n, 3)."""
    skin = _skin(model)
    on_skin = np.zeros(len(start))
    on_skin[np.unique(skin)] = 1.0
    laplacian = _graph(model)
    marks, pulls = csc_matrix((len(start), len(start))), np.zeros_like(start)
    if known is not None:
        points = model.landmarks["anatomical"]
        rows = np.repeat(np.arange(len(points)), 3)
        selector = coo_matrix(
            (points.weights.reshape(-1).astype(float), (rows, points.vertices.reshape(-1))),
            shape=(len(points), len(start)),
        ).tocsc()
        marks = LANDMARK_WEIGHT * (selector.T @ selector)
        pulls = LANDMARK_WEIGHT * (selector.T @ (known - selector @ start))
    moved = np.zeros_like(start)
    for stiffness in STIFFNESS:
        for _ in range(ROUNDS_PER_STIFFNESS):
            here = start + moved
            normals = vertex_normals(here, skin)
            at, distance, triangle = target.query(here, normals)
            facing = (target.normals[triangle] * normals).sum(1) > 0.5
            weight = on_skin * facing * (distance < FARTHEST / 2) * ~target.at_border(at)
            system = diags(weight) + marks + stiffness * laplacian
            system = (system + 1e-6 * diags(np.ones(len(start)))).tocsc()
            wanted = weight[:, None] * (at.on(target.mesh) - start) + pulls
            moved = splu(system).solve(wanted)
    return start + moved


def _graph(model: MorphableModel) -> csc_matrix:
    """The Laplacian of the mesh's edges; loose parts are tied to the nearest skin vertices."""
    skin = np.unique(_skin(model))
    triangles = model.triangles.astype(np.int64)
    pairs = mesh_edges(triangles)
    loose = np.setdiff1d(np.arange(len(model.mean)), skin)
    _, near = cKDTree(model.mean[skin]).query(model.mean[loose])
    pairs = np.concatenate([pairs, np.column_stack([loose, skin[near]])])
    return laplacian_of(np.unique(np.sort(pairs, axis=1), axis=0), len(model.mean))


def _correspondences(
    model: MorphableModel, deformed: Points, mesh: Points, triangles: NDArray[np.int64]
) -> tuple[SurfacePoints, Points]:
    """For each target vertex its place on the embedded mesh: on the skin unless far from it."""
    normals = vertex_normals(mesh, triangles)
    skin, distance, _ = NearestSurface(deformed, _skin(model)).query(mesh, normals)
    inner = NearestSurface(deformed, model.triangles.astype(np.int64))
    other, other_distance, _ = inner.query(mesh, normals)
    use = (distance > SKIN_REACH) & (other_distance < 0.5 * distance)
    vertices = np.where(use[:, None], other.vertices, skin.vertices)
    weights = np.where(use[:, None], other.weights, skin.weights)
    return SurfacePoints(vertices, weights), np.where(use, other_distance, distance)


@dataclass(frozen=True, eq=False)
class Similarity:
    """The transform ``scale * rotation @ p + offset``.

    Attributes
    ----------
    scale : factor
    rotation : (3, 3) float64
    offset : (3,) float64
    mirrored : True where a reflection would have laid the points on each other better
    """

    scale: float
    rotation: Points
    offset: Points
    mirrored: bool = False

    def of(self, points: Points) -> Points:
        """Move points.

        Parameters
        ----------
        points : (..., 3) float64

        Returns
        -------
        (..., 3) float64
        """
        return np.asarray(self.scale * points @ self.rotation.T + self.offset)

    def back(self, points: Points) -> Points:
        """Move points by the inverse.

        Parameters
        ----------
        points : (..., 3) float64

        Returns
        -------
        (..., 3) float64
        """
        return np.asarray((points - self.offset) @ self.rotation / self.scale)


def best_similarity(source: Points, target: Points, weights: Points | None = None) -> Similarity:
    """The similarity that lays points on others by weighted least squares (Umeyama 1991).

    Parameters
    ----------
    source : (j, 3) float64
    target : (j, 3) float64, where each of them belongs
    weights : (j,) float64, or None for equal ones

    Returns
    -------
    Similarity
    """
    share = np.ones(len(source)) if weights is None else weights
    share = share / share.sum()
    from_centre, to_centre = share @ source, share @ target
    centred = source - from_centre
    covariance = (target - to_centre).T @ (centred * share[:, None])
    left, values, right = np.linalg.svd(covariance)
    sign = float(np.sign(np.linalg.det(left @ right)))
    signs = np.array([1.0, 1.0, sign])
    rotation = (left * signs) @ right
    scale = float((values * signs).sum() / (share @ (centred**2).sum(1)))
    return Similarity(scale, rotation, to_centre - scale * rotation @ from_centre, sign < 0)
