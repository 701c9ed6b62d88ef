"""Action Units as blendshapes: which muscles' movement each coefficient stands for, in one table.

Sources: the Action Units' names and appearance changes from the FACS manual (Ekman, Friesen and
Hager 2002); the blendshapes' meaning from Apple's ARKit documentation (ARFaceAnchor
.BlendShapeLocation). The weights are those of this project: at intensity 5 the main blendshape of
an AU is fully on, and what moves with it follows the FACS manual's description.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import UsageError

MAXIMUM_INTENSITY = 5


def _both(**weights: float) -> dict[str, float]:
    return {f"{name}{side}": w for name, w in weights.items() for side in ("Left", "Right")}


NAMES: Mapping[int, str] = MappingProxyType(
    {
        1: "Inner Brow Raiser",
        2: "Outer Brow Raiser",
        4: "Brow Lowerer",
        5: "Upper Lid Raiser",
        6: "Cheek Raiser",
        7: "Lid Tightener",
        9: "Nose Wrinkler",
        10: "Upper Lip Raiser",
        12: "Lip Corner Puller",
        14: "Dimpler",
        15: "Lip Corner Depressor",
        17: "Chin Raiser",
        18: "Lip Pucker",
        20: "Lip Stretcher",
        22: "Lip Funneler",
        23: "Lip Tightener",
        24: "Lip Pressor",
        25: "Lips Part",
        26: "Jaw Drop",
        28: "Lip Suck",
        45: "Blink",
    }
)

# AU number -> blendshape -> coefficient at intensity 5. The AUs of DISFA, of BP4D and of OpenFace.
BLENDSHAPES: Mapping[int, Mapping[str, float]] = MappingProxyType(
    {
        1: {"browInnerUp": 1.0},
        2: _both(browOuterUp=1.0),
        4: _both(browDown=1.0),
        5: _both(eyeWide=1.0),
        6: _both(cheekSquint=1.0, eyeSquint=0.5),
        7: _both(eyeSquint=1.0),
        9: _both(noseSneer=1.0, mouthUpperUp=0.15),
        10: _both(mouthUpperUp=1.0),
        12: _both(mouthSmile=1.0),
        14: _both(mouthDimple=1.0),
        15: _both(mouthFrown=1.0),
        17: {"mouthShrugLower": 1.0, "mouthShrugUpper": 0.4},
        18: {"mouthPucker": 1.0},
        20: _both(mouthStretch=1.0),
        22: {"mouthFunnel": 1.0},
        23: {"mouthRollLower": 0.6, "mouthRollUpper": 0.6, "mouthPucker": 0.2},
        24: _both(mouthPress=1.0),
        25: {**_both(mouthLowerDown=0.8, mouthUpperUp=0.3), "jawOpen": 0.12},
        # The jaw drops by relaxation; jawOpen 1 would be AU 27, Mouth Stretch.
        26: {"jawOpen": 0.65},
        28: {"mouthRollLower": 1.0, "mouthRollUpper": 1.0},
        45: _both(eyeBlink=1.0),
    }
)


def coefficient(intensity: ArrayLike) -> NDArray[np.float64]:
    """The activation of an intensity; between whole intensities linear.

    Parameters
    ----------
    intensity : (...) float, 0 to 5 (FACS's A-E are 1-5)

    Returns
    -------
    (...) float64
        0 to 1
    """
    return np.asarray(np.clip(np.asarray(intensity, np.float64) / MAXIMUM_INTENSITY, 0.0, 1.0))


def intensity(activation: ArrayLike) -> NDArray[np.int8]:
    """The nearest intensity of an activation.

    Parameters
    ----------
    activation : (...) float, 0 to 1

    Returns
    -------
    (...) int8
        0 to 5 (FACS's A-E are 1-5)
    """
    level = np.rint(np.asarray(activation, np.float64) * MAXIMUM_INTENSITY)
    return np.asarray(np.clip(level, 0, MAXIMUM_INTENSITY).astype(np.int8))


def weights(aus: tuple[int, ...], names: tuple[str, ...]) -> NDArray[np.float64]:
    """The table as a matrix.

    Parameters
    ----------
    aus : a AU numbers
    names : of the e blendshapes, in the order of f_exp

    Returns
    -------
    (a, e) float64
        coefficient of each blendshape at an AU's activation 1

    Raises
    ------
    UsageError
        the table lacks an AU, or the model a blendshape
    """
    matrix = np.zeros((len(aus), len(names)))
    column = {name: index for index, name in enumerate(names)}
    for row, au in enumerate(aus):
        if au not in BLENDSHAPES:
            known = ", ".join(map(str, BLENDSHAPES))
            raise UsageError(f"AU {au} has no blendshapes here; known are {known}")
        for name, weight in BLENDSHAPES[au].items():
            if name not in column:
                raise UsageError(f"AU {au} needs the blendshape {name}, which the model lacks")
            matrix[row, column[name]] = weight
    return matrix
