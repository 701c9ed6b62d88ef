"""Estimated Action Units in the tables of an analysis, against the truth of rendered people."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.ndimage import median_filter

from glee.errors import DataError, UsageError
from glee.fitting.morphable_model.landmark_scheme import ARKIT_NAMES
from glee.pipeline.action_units.estimate import Others, estimate
from glee.pipeline.action_units.readings import AUS, au_readings
from glee.pipeline.analysis import openface_table
from glee.pipeline.analysis.analyze import analyze
from glee.pipeline.options import AnalyzeOptions


@pytest.fixture(scope="module")
def done(videos, tmp_path_factory):
    """The first video's analysis."""
    (found,) = analyze(videos[:1], tmp_path_factory.mktemp("aus"), progress=False)
    return found


@pytest.fixture(scope="module")
def table(done):
    return pd.read_csv(done.paths[0])


def again(videos, folder, **options):
    (found,) = analyze(videos[:1], folder, options=AnalyzeOptions(**options), progress=False)
    return found, pd.read_csv(found.paths[0])


def test_every_au_has_its_columns(table):
    for au in AUS:
        rows = table[[f"AU{au:02}_{key}" for key in ("r", "c", "std", "visible")]]
        assert rows.notna().all(axis=None), au
        assert rows[f"AU{au:02}_r"].between(0, 5).all()
        assert set(rows[f"AU{au:02}_c"]) <= {0, 1}
    sides = table[["AU12_left_r", "AU12_right_r"]]
    np.testing.assert_allclose(sides.max(axis=1), table["AU12_r"])
    assert "AU26_left_r" not in table


def test_csv_and_parquet_say_the_same(done, table):
    other = pq.read_table(done.paths[1]).to_pandas()
    assert list(other.columns) == list(table.columns)
    names = [name for name in table.columns if name.startswith("AU")]
    np.testing.assert_allclose(other[names], table[names], atol=6e-4)


def test_smiles_and_open_jaws_follow_the_truth(table, truths):
    truth = pd.DataFrame(truths[0].f_exp, columns=list(ARKIT_NAMES))
    for au, name in ((12, "mouthSmileLeft"), (26, "jawOpen")):
        if truth[name].std() > 0.05:
            assert np.corrcoef(table[f"AU{au:02}_r"], truth[name])[0, 1] > 0.8


def test_intensities_are_those_of_the_tables_own_blendshapes(videos, tmp_path):
    """f_exp of the table, the median of named frames by NumPy, the estimate of all rows at once.

    The table does not say how far the person's expressions go together; so between both.
    """
    _, table = again(videos, tmp_path, baseline="3,10-20")
    readings = au_readings(ARKIT_NAMES)
    f_exp = table[list(ARKIT_NAMES)].to_numpy()
    both = np.column_stack([readings.of(f_exp), readings.moved(f_exp)])
    rest = np.percentile(both[[3, *range(10, 21)]], 50.0, axis=0, method="inverted_cdf")
    both = median_filter(both, (3, 1), mode="nearest")
    read, moved = both[:, :-1], np.maximum(both[:, -1] - rest[-1], 0.0)
    nothing = np.zeros((len(read), len(AUS)))
    most, least = (
        estimate(
            readings,
            read,
            0 * read,
            nothing,
            rest[:-1],
            others=Others(moved, np.full(len(moved), apart)),
        ).intensity
        for apart in (0.0, 1.0)
    )
    found = table[[f"AU{au:02}_r" for au in AUS]].to_numpy()
    assert (found < most + 0.03).all()  # of the histogram's bins
    assert (found > least - 0.03).all()


def test_rest_is_that_of_the_calmest_frames(frames_of, truths, save_video, tmp_path):
    """A neutral face for a third of the clip, then the same person's widest smile."""
    strength = truths[0].f_exp.sum(axis=1)
    calm, strong = (frames_of[0][int(i)] for i in (strength.argmin(), strength.argmax()))
    path = save_video(tmp_path / "s.avi", [calm] * 20 + [strong] * 40, codec="MJPG")
    (found,) = analyze([path], tmp_path / "out", progress=False)
    table = pd.read_csv(found.paths[0])
    calls = table[[f"AU{au:02}_c" for au in AUS]]
    assert calls[2:18].mean(axis=None) < 0.02
    assert calls[24:].mean(axis=None) > 0.05


def test_openface_has_the_same(videos, table, tmp_path):
    found, other = again(videos, tmp_path, format="openface")
    assert list(other.columns) == [name for name, _ in openface_table.columns()]
    for number in openface_table.AU_INTENSITIES:
        name = f"AU{number:02}_r"
        np.testing.assert_allclose(other[name], table[name], atol=6e-3)
    for number in openface_table.AU_OCCURRENCES:
        np.testing.assert_array_equal(other[f"AU{number:02}_c"], table[f"AU{number:02}_c"])
    assert [line for line in found.notes() if "empty columns: eye_lmk_*" in line]


def test_none_leaves_them_out_and_says_which_columns_are_empty(videos, tmp_path):
    found, other = again(videos, tmp_path / "glee", aus="none")
    assert not [name for name in other.columns if name.startswith("AU")]
    assert found.action_units is None
    found, other = again(videos, tmp_path / "openface", aus="none", format="openface")
    assert other["AU12_r"].isna().all()
    assert "AU12" in found.notes()[-1]


def test_named_frames_are_the_rest(videos, tmp_path, table):
    low = int(table["mouthSmileLeft"].argmax())
    _, other = again(videos, tmp_path, baseline=str(low))
    assert other["AU12_left_r"][low] == 0.0
    with pytest.raises(DataError, match="--baseline"):
        again(videos, tmp_path / "none", baseline="900-950", video=True)
    assert not list((tmp_path / "none").iterdir())
    with pytest.raises(UsageError, match="baseline"):
        again(videos, tmp_path / "wrong", baseline="neutral")


def test_a_few_frames_have_the_baseline_of_people(videos, frames_of, save_video, tmp_path):
    path = save_video(tmp_path / "short.avi", frames_of[0][:8], codec="MJPG")
    (found,) = analyze([path], tmp_path / "out", progress=False)
    assert found.action_units["faces"]["0"]["kind"] == "usual"
    assert "8 frames are too few" in found.notes()[0]


def test_a_face_that_never_rests_keeps_its_expression(frames_of, truths, save_video, tmp_path):
    """The frame of the widest smile, forty times."""
    smile = truths[0].f_exp[:, ARKIT_NAMES.index("mouthSmileLeft")]
    if smile.max() < 0.5:
        smile = truths[0].f_exp[:, ARKIT_NAMES.index("jawOpen")]
    path = save_video(tmp_path / "s.avi", [frames_of[0][int(smile.argmax())]] * 40, codec="MJPG")
    (found,) = analyze([path], tmp_path / "out", progress=False)
    restless = found.action_units["faces"]["0"]["restless"]
    assert restless
    table = pd.read_csv(found.paths[0])
    assert (table[f"{restless[0]}_c"] == 1).mean() > 0.8
    assert "calmest frames" in found.notes()[0]


def test_py_feats_reader_finds_all_that_it_asks_for(videos, tmp_path):
    """The columns that `feat.utils.io.read_openface` of py-feat 2.1.5 selects, read as it does."""
    names = ["frame", "timestamp", "confidence", "success"]
    names += [f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"]
    names += [f"pose_{kind}{axis}" for kind in "TR" for axis in "xyz"]
    names += [f"{axis}_{i}" for axis in ("x", "y", "X", "Y", "Z") for i in range(68)]
    names += [f"p_{name}" for name in ("scale", "rx", "ry", "rz", "tx", "ty", *range(34))]
    aus = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
    units = [f"AU{au:02}_r" for au in aus] + [f"AU{au:02}_c" for au in (*aus, 28)]
    found, _ = again(videos, tmp_path, format="openface")
    table = pd.read_csv(found.paths[0], sep=",")[[*names, *units]]
    assert len(table.columns) == 431
    assert table[units].notna().all(axis=None)
    # What analysis scripts made for OpenFace do: only good frames, means, and a threshold.
    good = table[(table["success"] == 1) & (table["confidence"] > 0.8)]
    assert len(good) == len(table)
    assert good.filter(regex="_r$").mean().between(0, 5).all()
    assert ((good["AU12_r"] >= 1) & (good["AU12_c"] == 1)).any()
