"""f_exp relative to the person's own usual face; beyond the paper, an option.

A fit puts what it cannot explain by identity into every frame's f_exp of that person. Subtracting
the person's median over all frames, without any label, takes it out again. Source: Baltrusaitis,
Mahmoud and Robinson (2015), "Cross-dataset learning and person-specific normalisation for
automatic Action Unit detection", who do so with their features.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .au_dataset import AUFrames

# A person's median counts as much as what is common to all from this many frames on.
PRIOR_FRAMES = 30


def common_reference(frames: AUFrames, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Average over persons the median f_exp of each.

    Parameters
    ----------
    frames : AUFrames
        All frames.
    indices : (n,) int64
        Frames to train on; only their persons count.

    Returns
    -------
    (e,) float32
        0 where nothing is fitted.
    """
    subjects = sorted({str(name) for name in frames.subject[indices]})
    medians = [_median(frames, subject)[0] for subject in subjects]
    known = [median for median in medians if np.isfinite(median).all()]
    if not known:
        return np.zeros(frames.f_exp.shape[1], np.float32)
    return np.asarray(np.mean(known, axis=0), np.float32)


def relative_to_person(frames: AUFrames, reference: npt.NDArray[np.float32]) -> AUFrames:
    """Subtract from f_exp what is usual for the frame's person.

    Parameters
    ----------
    frames : AUFrames
        All frames of the persons.
    reference : (e,) float32
        From `common_reference`; stands in where a person has few frames.

    Returns
    -------
    AUFrames
        The same frames with another f_exp.
    """
    f_exp = frames.f_exp.copy()
    for subject in frames.subjects:
        median, count = _median(frames, subject)
        if count:
            share = count / (count + PRIOR_FRAMES)
            usual = share * median + (1 - share) * reference
            f_exp[frames.of_subjects([subject])] -= usual.astype(np.float32)
    return replace(frames, f_exp=f_exp)


def _median(frames: AUFrames, subject: str) -> tuple[npt.NDArray[np.float64], int]:
    """Median f_exp (e,) of a person's fitted frames, and how many these are."""
    f_exp = frames.f_exp[frames.of_subjects([subject])]
    fitted = f_exp[np.isfinite(f_exp).all(1)].astype(np.float64)
    if not len(fitted):
        return np.full(f_exp.shape[1], np.nan), 0
    return np.median(fitted, axis=0), len(fitted)
