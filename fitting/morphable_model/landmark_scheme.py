"""The iBUG / Multi-PIE scheme of 68 landmarks, and the names of the 51 ARKit blendshapes.

Of the landmarks: regions, end points, curves, mirror pairs. Indices are from 0; "right" and "left"
are the person's. Source: Multi-PIE (Gross et al. 2010) as used by iBUG 300-W (Sagonas et al. 2013).
The blendshapes are ARKit's without ``tongueOut``, in alphabetical order (Apple's documentation of
ARFaceAnchor.BlendShapeLocation).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

COUNT = 68

REGIONS: dict[str, tuple[int, ...]] = {
    "jaw": tuple(range(17)),
    "right_brow": tuple(range(17, 22)),
    "left_brow": tuple(range(22, 27)),
    "nose_bridge": tuple(range(27, 31)),
    "nostrils": tuple(range(31, 36)),
    "right_eye": tuple(range(36, 42)),
    "left_eye": tuple(range(42, 48)),
    "outer_lip": tuple(range(48, 60)),
    "inner_lip": tuple(range(60, 68)),
}
INNER = tuple(range(17, 68))

# Compared point to point (Eq. 3); the others slide along the curve that they lie on.
END_POINTS = (
    *(0, 8, 16),
    *(17, 21, 22, 26),
    *(27, 30, 31, 33, 35),
    *(36, 39, 42, 45),
    *(48, 51, 54, 57, 60, 64),
)
SLIDING = tuple(index for index in range(COUNT) if index not in END_POINTS)

SEGMENT = 7  # numbers that describe a segment

# Polylines through the landmarks; each sliding landmark is an inner node of exactly one.
CURVES: dict[str, tuple[int, ...]] = {
    "right_jaw": tuple(range(9)),
    "left_jaw": tuple(range(8, 17)),
    "right_brow": tuple(range(17, 22)),
    "left_brow": tuple(range(22, 27)),
    "nose_bridge": tuple(range(27, 31)),
    "right_nostril": (31, 32, 33),
    "left_nostril": (33, 34, 35),
    "right_upper_lid": (36, 37, 38, 39),
    "right_lower_lid": (39, 40, 41, 36),
    "left_upper_lid": (42, 43, 44, 45),
    "left_lower_lid": (45, 46, 47, 42),
    "right_upper_outer_lip": (48, 49, 50, 51),
    "left_upper_outer_lip": (51, 52, 53, 54),
    "left_lower_outer_lip": (54, 55, 56, 57),
    "right_lower_outer_lip": (57, 58, 59, 48),
    "upper_inner_lip": (60, 61, 62, 63, 64),
    "lower_inner_lip": (64, 65, 66, 67, 60),
}

OUTER_EYE_CORNERS = (36, 45)

_MIRROR_PAIRS = (
    *((i, 16 - i) for i in range(8)),
    *((17 + i, 26 - i) for i in range(5)),
    *((31, 35), (32, 34)),
    *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),
    *((48, 54), (49, 53), (50, 52), (59, 55), (58, 56)),
    *((60, 64), (61, 63), (67, 65)),
)


def _mirror() -> NDArray[np.int64]:
    mirror = np.arange(COUNT)
    for one, other in _MIRROR_PAIRS:
        mirror[one], mirror[other] = other, one
    return mirror


# (68,) int64: the landmark on the other side of the face.
MIRROR = _mirror()


def _both(*stems: str) -> tuple[str, ...]:
    return tuple(f"{stem}{side}" for stem in stems for side in ("Left", "Right"))


ARKIT_NAMES: tuple[str, ...] = tuple(
    sorted(
        _both("browDown", "browOuterUp", "cheekSquint")
        + _both("eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp")
        + _both("eyeSquint", "eyeWide")
        + _both("mouthDimple", "mouthFrown", "mouthLowerDown", "mouthPress", "mouthSmile")
        + _both("mouthStretch", "mouthUpperUp", "noseSneer")
        + ("browInnerUp", "cheekPuff", "jawForward", "jawLeft", "jawOpen", "jawRight")
        + ("mouthClose", "mouthFunnel", "mouthLeft", "mouthPucker", "mouthRight")
        + ("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper")
    )
)


def inter_ocular_distance(landmarks: ArrayLike) -> NDArray[np.float64]:
    """Distance between the outer eye corners, landmarks 36 and 45.

    Parameters
    ----------
    landmarks : (..., 68, 2) float, any unit

    Returns
    -------
    (...) float64
        in the landmarks' unit
    """
    landmarks = np.asarray(landmarks, np.float64)
    right, left = OUTER_EYE_CORNERS
    return np.asarray(np.linalg.norm(landmarks[..., left, :] - landmarks[..., right, :], axis=-1))


def nme(measured: ArrayLike, truth: ArrayLike, points: tuple[int, ...] = INNER) -> float:
    """Normalised mean error: mean distance over `points` / the true inter-ocular distance.

    As of iBUG 300-W (Sagonas et al. 2013).

    Parameters
    ----------
    measured : (n, 68, 2) float, any unit; frames with NaN are left out
    truth : (n, 68, 2) float, the same unit; frames with NaN are left out
    points : landmarks that count, by default all but the jaw

    Returns
    -------
    float
        inter-ocular distances, the mean over the frames; NaN without frames
    """
    measured, truth = np.asarray(measured, np.float64), np.asarray(truth, np.float64)
    where = list(points)
    distance = np.linalg.norm(measured[:, where] - truth[:, where], axis=-1).mean(1)
    ratio = distance / inter_ocular_distance(truth)
    ratio = ratio[np.isfinite(ratio)]
    return float(ratio.mean()) if ratio.size else float("nan")


def curve_table() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The scheme's curves as arrays for the kernels.

    Returns
    -------
    curve_of : (68,) int32
        the curve that each landmark slides on, -1 for an end point
    nodes : (curves, longest + 1) int32
        the landmarks of each curve, -1 behind its last
    """
    longest = max(len(nodes) for nodes in CURVES.values())
    nodes = np.full((len(CURVES), longest + 1), -1, np.int32)
    curve_of = np.full(COUNT, -1, np.int32)
    for row, members in enumerate(CURVES.values()):
        nodes[row, : len(members)] = members
        for landmark in members[1:-1]:
            curve_of[landmark] = row
    return curve_of, nodes
