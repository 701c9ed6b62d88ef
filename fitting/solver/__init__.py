"""The kernels of Eq. 3 on one frame: nothing here knows a subject, a file or a detector.

To be read in this order: layout (the order of elimination), problem (what the kernels read and
write), point_to_curve, whitening and residuals (the data term and its derivatives), fitter and
normal_equations (priors, one linear system), levenberg_marquardt (the steps on one frame, and on
many), joint_identity (one f_shape for many frames), uncertainty and temporal (what follows from the
solution). linear_algebra holds the small dense kernels below them, kernel_cache compiles all of
them once. Names are loaded when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...public_names import load_when_asked

if TYPE_CHECKING:
    from .fitter import Fitter, Prior, Stop, new_fitter
    from .joint_identity import fit_joint_identity
    from .kernel_cache import ensure_compiled
    from .levenberg_marquardt import FitResult, fit_frames
    from .problem import Frame, Frames, Loss, PointModel, Scheme, State, Workspace
    from .temporal import smooth
    from .uncertainty import ReducedEnergies, describe_frames, reduced_energies

__all__ = [
    "FitResult",
    "Fitter",
    "Frame",
    "Frames",
    "Loss",
    "PointModel",
    "Prior",
    "ReducedEnergies",
    "Scheme",
    "State",
    "Stop",
    "Workspace",
    "describe_frames",
    "ensure_compiled",
    "fit_frames",
    "fit_joint_identity",
    "new_fitter",
    "reduced_energies",
    "smooth",
]

load_when_asked(
    __name__,
    {
        "fitter": ("Fitter", "Prior", "Stop", "new_fitter"),
        "joint_identity": ("fit_joint_identity",),
        "kernel_cache": ("ensure_compiled",),
        "levenberg_marquardt": ("FitResult", "fit_frames"),
        "problem": ("Frame", "Frames", "Loss", "PointModel", "Scheme", "State", "Workspace"),
        "temporal": ("smooth",),
        "uncertainty": ("ReducedEnergies", "describe_frames", "reduced_energies"),
    },
)
