"""Options: light to import, one default each, checked, and set up for the fit as Eq. 3 has it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, fields, replace

import numpy as np
import pytest

from glee.commands.analyze import analyze
from glee.commands.fit3d import fit3d
from glee.commands.preprocess import preprocess
from glee.errors import UsageError
from glee.fitting.camera import Camera
from glee.fitting.fit import fit
from glee.fitting.morphable_model.model_file import load_model
from glee.pipeline.options import (
    AnalyzeOptions,
    Fit3dOptions,
    PreprocessOptions,
    TrackingOptions,
)

# What the commands decide otherwise than the library, and why their help says so.
TRY_ALL = {"detector", "whiten", "prior", "smooth"}


def test_no_heavy_library_is_imported_for_an_option():
    code = (
        "import sys, json, glee.pipeline.options\n"
        "heavy = ('cv2', 'numba', 'torch', 'h5py', 'scipy', 'numpy')\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (preprocess, PreprocessOptions()),
        (fit3d, Fit3dOptions()),
        (analyze, AnalyzeOptions()),
    ],
)
def test_a_command_has_the_dataclass_defaults(command, options):
    stated = asdict(options)
    shown = {p.name: p for p in command.params if p.name in stated and p.show_default}
    assert shown
    for name in set(shown) - TRY_ALL:
        assert shown[name].default == stated[name], name


def test_tracking_options_are_the_same_everywhere():
    for options in (PreprocessOptions(), AnalyzeOptions()):
        assert options.tracking == TrackingOptions()
    changed = replace(PreprocessOptions(), detect_every=3, minimum_confidence=0.7)
    assert changed.tracking == TrackingOptions(3, 0.7)


def test_stated_options_leave_out_what_the_backend_decides():
    assert list(PreprocessOptions().stated()) == [
        "detector",
        "detect_every",
        "minimum_confidence",
        "crop_size",
        "encoding",
        "quality",
        "chunk_frames",
    ]
    assert PreprocessOptions(flip=False).stated()["flip"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        TrackingOptions(detect_every=0),
        TrackingOptions(minimum_confidence=1.5),
        PreprocessOptions(minimum_confidence=-0.1),
        PreprocessOptions(crop_size=8),
        AnalyzeOptions(faces=0),
        AnalyzeOptions(fps=0.0),
        AnalyzeOptions(detect_every=0),
        AnalyzeOptions(format="xls"),
        AnalyzeOptions(focal=-1.0),
        Fit3dOptions(focal=0.0),
        Fit3dOptions(expression_weight=1e-3),
    ],
)
def test_values_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UsageError, match="give"):
        wrong.check()


def test_the_ridge_is_the_papers_where_each_frame_has_its_identity():
    model = load_model()
    assert Fit3dOptions().fit_options(model, "dlib").regularisation is None
    alone = Fit3dOptions(identity="frame").fit_options(model, "dlib")
    assert alone.regularisation == (1e-4, 1e-4)
    given = Fit3dOptions(expression_weight=2e-3, shape_weight=3e-3).fit_options(model, "dlib")
    assert given.regularisation == (2e-3, 3e-3)


def test_the_fit_gets_every_option_that_it_has():
    options = Fit3dOptions(
        bounds=False,
        curves=False,
        robust="huber",
        temporal=0.25,
        estimate_focal=True,
        sample_frames=17,
    )
    made = options.fit_options(load_model(), "dlib")
    shared = {item.name for item in fields(options)} & {item.name for item in fields(made)}
    assert shared >= {"bounds", "curves", "robust", "temporal", "estimate_focal"}
    for name in shared - {"prior"}:
        assert getattr(made, name) == getattr(options, name), name
    assert made.identity_frames == 17
    assert made.noise is None
    assert made.prior is None


def test_fits_in_pixels_have_the_steps_that_they_need():
    made = Fit3dOptions(units="pixels", identity="frame").fit_options(load_model(), "dlib")
    rng, model = np.random.default_rng(2), load_model()
    places = 80 * model.landmarks["anatomical"].on(model.mean)[:, :2] * [1, -1] + [320, 240]
    landmarks = places + rng.normal(0, 1.0, (6, 68, 2))
    camera = Camera.for_image(640, 480)
    assert fit(landmarks, model, camera=camera, identity="frame", options=made).converged.all()
    few = replace(made, iterations=50)
    assert not fit(landmarks, model, camera=camera, identity="frame", options=few).converged.all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"units": "pixels"},
        {"units": "pixels", "identity": "frame", "whiten": True},
        {"units": "pixels", "identity": "frame", "robust": "huber"},
        {"units": "inches", "identity": "frame"},
        {"robust": "absolute", "prior": True},
    ],
)
def test_units_and_distances_that_do_not_go_together(wrong):
    with pytest.raises(UsageError):
        Fit3dOptions(**wrong).check()


def test_whitening_needs_a_calibrated_detector():
    model = load_model()
    made = Fit3dOptions(whiten=True, prior=True).fit_options(model, "dlib")
    assert made.noise is model.noise["dlib"]
    assert len(made.prior.mean) == len(model.expression_names)
    with pytest.raises(UsageError, match=r"not calibrated to detector other; .*dlib"):
        Fit3dOptions(whiten=True).fit_options(model, "other")


def test_an_analysis_takes_over_how_a_run_was_fitted():
    base = Fit3dOptions(whiten=True, prior=True, model="own.h5")
    assert AnalyzeOptions().fit3d_options(base) == base
    asked = AnalyzeOptions(identity="frame", focal=900.0).fit3d_options(base)
    assert asked == replace(base, identity="frame", focal=900.0)
