"""Every option that shapes an analysis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import UsageError
from ..fit3d import Fit3dOptions
from .face_stream import StreamOptions

FORMATS = ("glee", "openface", "arkit")
IDENTITIES = ("subject", "frame")


@dataclass(frozen=True)
class AnalyzeOptions:
    """Every option that shapes an analysis.

    format: of the tables. video: write an overlay too. detector: landmark backend, or auto.
    weights: folder of its weights files; None for its own. faces: most faces that are followed.
    identity: "subject", one f_shape a person, or "frame", frames have nothing to do with each
    other; None for a person's frames, fitted as a trained run asks for. focal: pixels; None for
    1.5 x the longer side. model: path of a morphable model; None for the run's, or the embedded
    one. detect_every, minimum_confidence: as in `preprocess`. fps: of images.
    """

    format: str = "glee"
    video: bool = False
    detector: str = "auto"
    weights: Path | None = None
    faces: int = 1
    identity: str | None = None
    focal: float | None = None
    model: Path | None = None
    detect_every: int = 10
    minimum_confidence: float = 0.4
    fps: float = 30.0

    def check(self) -> None:
        """Raises UsageError where a value makes no sense."""
        if self.format not in FORMATS:
            raise UsageError(f"format is {self.format!r}; give one of {', '.join(FORMATS)}")
        if self.identity not in (None, *IDENTITIES):
            raise UsageError(f"identity is {self.identity!r}; give one of {', '.join(IDENTITIES)}")
        if self.focal is not None and not self.focal > 0:
            raise UsageError(f"focal is {self.focal}; give a positive number of pixels")
        self.stream(scored=False).check()

    def fit(self, base: Fit3dOptions) -> Fit3dOptions:
        """The options of the fit: `base` with what is asked for here."""
        return replace(
            base,
            identity=self.identity or base.identity,
            focal=self.focal,
            model=base.model if self.model is None else str(self.model),
        )

    def stream(self, *, scored: bool) -> StreamOptions:
        """What the stream of faces needs to know. scored: aligned faces are needed."""
        return StreamOptions(
            faces=self.faces,
            alone=self.identity == "frame",
            detect_every=self.detect_every,
            minimum_confidence=self.minimum_confidence,
            fps=self.fps,
            crops=scored,
            pictures=self.video,
        )
