"""The command line's default path over clips: `preprocess`, then `fit3d`, and what the shards hold.

The stages themselves are run, so that whatever they come to do by default is judged too.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from glee.pipeline.clip_smoothing import fitted_points, noise_by_clip
from glee.pipeline.fit3d import fit3d
from glee.pipeline.landmarks.backends import AUTO
from glee.pipeline.options import Fit3dOptions, PreprocessOptions
from glee.pipeline.preprocess import preprocess
from glee.pipeline.shards.shard import list_shards, read_shard
from glee.pipeline.subject_witness import outputs_of

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class FittedClip:
    """What the stages make of n frames; NaN where a frame is not valid.

    landmarks: (n, 68, 2), pixels, as they were found, and smoothed: as they were fitted. f_exp,
    f_exp_std: (n, 51). blendshapes: (n, 52) of the backend's network, where there is one.
    """

    landmarks: Floats
    f_exp: Floats
    f_exp_std: Floats
    smoothed: Floats
    blendshapes: Floats


def fitted_clips(root: Path, detector: str = AUTO) -> dict[str, FittedClip]:
    """The clips of a folder as the dataset `folder` has them, fitted: subject -> its frames.

    root: each clip is another person: videos, or a folder of pictures each.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        # As commands/preprocess.py and commands/fit3d.py have their defaults.
        given = PreprocessOptions(detector=detector)
        preprocess("folder", root, work, options=given, workers=1, progress=False)
        asked = Fit3dOptions(whiten=None, prior=None, smooth=None, witness=None, visibility=None)
        fit3d(work, options=asked, workers=1, progress=False)
        parts: dict[str, list[FittedClip]] = {}
        paths = sorted(list_shards(work))
        # Names of clips are those of the people here, so that none occurs twice.
        shards = [read_shard(path) for path in paths]
        tracks = noise_by_clip(shards)
        for path, shard in zip(paths, shards, strict=True):
            landmarks = shard.frames.landmarks.astype(np.float64)
            landmarks[~shard.frames.valid] = np.nan
            if shard.fit is None:
                continue
            own = FittedClip(
                landmarks,
                shard.fit.f_exp.astype(np.float64),
                shard.fit.f_exp_std.astype(np.float64),
                fitted_points(path, shard, tracks.get(path.parent.name), None),
                outputs_of(shard),
            )
            parts.setdefault(shard.header.subject, []).append(own)
    return {name: _joined(own) for name, own in parts.items()}


def fitted_pictures(clips: dict[str, list[Image]], detector: str = AUTO) -> dict[str, FittedClip]:
    """As `fitted_clips`, of pictures (h, w, 3) uint8 RGB in memory, by the person's name."""
    with tempfile.TemporaryDirectory() as folder:
        for name, pictures in clips.items():
            own = Path(folder) / name
            own.mkdir()
            for number, picture in enumerate(pictures):
                # Quick to write and without loss.
                path = str(own / f"{number:05d}.bmp")
                cv2.imwrite(path, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        return fitted_clips(Path(folder), detector)


def _joined(parts: list[FittedClip]) -> FittedClip:
    return FittedClip(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("landmarks", "f_exp", "f_exp_std", "smoothed", "blendshapes")
        )
    )
