"""The 51 expression blendshapes: ARKit's names without ``tongueOut``, in alphabetical order."""

from __future__ import annotations


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
