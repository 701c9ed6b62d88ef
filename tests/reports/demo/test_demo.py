import json
import math

import numpy as np
import pytest

from glee.errors import OptionsError, OutputError, UsageError
from glee.model.options import read_options
from glee.model.prediction.evaluation import evaluate
from glee.pipeline.shards.shard import list_shards, read_shard
from glee.reports.demo.demo import demo
from glee.reports.demo.ingredients import INGREDIENTS, worth_of_images

KEYS = {
    *("frames", "valid_fraction", "landmark_nme", "f_exp_r", "f1", "seconds", "versions"),
    *("losses", "f1_of", "images_add"),
}
STAGES = ("synth", "preprocess", "fit3d", "fit3d --paper", "train", "evaluate", "losses", "report")
AUS = ("AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU25", "AU26")


def of_measure(results, given, measure):
    (row,) = [
        row
        for row in results["losses"]["table"]
        if row["given"] == given and row["measure"] == measure
    ]
    return row["value"]


@pytest.mark.slow
def test_the_results_are_what_is_promised(made):
    out, results = made
    assert json.loads((out / "results.json").read_text()) == results
    assert set(results) == KEYS
    assert results["frames"] == 72
    assert results["valid_fraction"] > 0.95
    assert 0.005 < results["landmark_nme"]["inner51"] < 0.08
    assert set(results["f1"]) == {*AUS, "mean", "mean_over_folds", "always_positive"}
    assert set(results["f1"]["always_positive"]) == {*AUS, "mean"}
    assert set(results["seconds"]) == {*STAGES, "total"}
    names = ("glee", "python", "numpy", "numba", "torch", "opencv", "dask", "h5py")
    assert tuple(results["versions"]) == names


@pytest.mark.slow
def test_the_median_is_over_blendshapes_that_move(made):
    _, results = made
    r = {name: value for name, value in results["f_exp_r"].items() if name != "median"}
    assert len(r) == 51
    known = [value for value in r.values() if value is not None]
    assert 20 < len(known) < 51
    assert results["f_exp_r"]["median"] == pytest.approx(np.median(known))


@pytest.mark.slow
def test_true_input_serves_each_stage_better_than_its_real_one(made):
    _, results = made
    r = [of_measure(results, f"{k} landmarks", "f_exp, median r") for k in ("true", "detected")]
    assert r[0] > 0.85
    assert r[0] > r[1] > 0.5
    angle = of_measure(results, "true landmarks", "pose, median error")
    assert angle < 1.0
    assert of_measure(results, "true landmarks", "landmarks reprojected, median") < 0.5
    # So few frames do not rank the probes; that they see the Action Units at all can be asked.
    probe = results["losses"]["probe_f1"]
    chance = results["f1"]["always_positive"]["mean"]
    assert probe["true_f_exp"]["mean"] > chance
    assert probe["f_exp_of_true_landmarks"]["mean"] > chance


@pytest.mark.slow
def test_what_the_f1_is_made_of_stands_in_results_and_report(made):
    out, results = made
    of = results["f1_of"]
    assert tuple(of) == (*(one.name for one in INGREDIENTS), "always_positive")
    assert of["images_and_f_exp"]["f1"] == results["f1"]["mean"]
    assert of["always_positive"]["f1"] == results["f1"]["always_positive"]["mean"]
    for name, run in (("images", "run_images"), ("f_exp_as_published", "run_as_published")):
        assert of[name]["f1"] == evaluate(out / run).results["f1"]["mean"]
    added = results["images_add"]
    assert added["f1"] == pytest.approx(of["images_and_f_exp"]["f1"] - of["f_exp"]["f1"])
    low, high = added["interval"]
    assert low <= high
    text = (out / "report.html").read_text()
    assert "do not prove that glee sees real people" in text
    for one in INGREDIENTS:
        assert one.given.replace("'", "&#39;") in text


@pytest.mark.slow
def test_each_network_is_given_what_the_table_says(made):
    out, _ = made
    told = {one.name: read_options(out / one.run) for one in INGREDIENTS}
    assert told["f_exp"].ablation == told["f_exp_as_published"].ablation == "no-gb-lb"
    assert told["images"].ablation == "no-3dgb"
    assert told["f_exp"].person_specific
    assert not told["f_exp_as_published"].person_specific
    assert len({(one.epochs, one.seed, one.batch) for one in told.values()}) == 1
    default, published = (
        read_shard(list_shards(out / folder)[0]).fit.options
        for folder in ("work", "work_as_published")
    )
    assert default["witness"]
    assert default["identity"] == "subject"
    assert not published["witness"]
    assert not published["prior"]
    assert published["identity"] == "frame"


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        (
            (0.01, 0.04),
            "+2.00 points of mean F1 (95 % interval over people +1.00 to +4.00): the images are",
        ),
        ((-0.01, 0.04), "nothing shows that the images are worth anything"),
        ((-0.04, -0.01), "the images cost accuracy here"),
        ((None, None), "not defined"),
    ],
)
def test_the_worth_of_images_is_said_by_its_interval(interval, said):
    assert said in worth_of_images({"f1": 0.02, "interval": list(interval)})


@pytest.mark.slow
def test_the_report_stands_alone(made):
    out, _ = made
    text = (out / "report.html").read_text()
    assert len(text) < 6e6
    assert "http:" not in text
    assert "https:" not in text
    assert text.count("data:image/jpeg;base64,") == 15
    assert ">nan<" not in text.lower()


@pytest.mark.slow
def test_a_second_run_reuses_what_is_there(made, small):
    out, results = made
    kept = [*out.rglob("*.h5"), *out.rglob("*.avi"), *out.rglob("checkpoint.pt")]
    assert len(kept) > 8
    before = [path.stat().st_mtime_ns for path in kept]
    again = demo(out, progress=False, **small)
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert again == results
    assert math.isfinite(again["seconds"]["total"])


@pytest.mark.slow
def test_other_options_are_refused_and_nothing_changes(made, small):
    out, _ = made
    before = (out / "results.json").read_bytes()
    with pytest.raises(OptionsError, match="epochs is 1 there, 2 now"):
        demo(out, progress=False, **{**small, "epochs": 2})
    assert (out / "results.json").read_bytes() == before


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path, small):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        demo(tmp_path / "file" / "out", progress=False, **small)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path, overwrite, small):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="no demo wrote"):
        demo(tmp_path, progress=False, overwrite=overwrite, **small)
    assert (tmp_path / "data" / "thesis.txt").read_text() == "mine"


def test_each_fold_needs_a_subject(tmp_path, small):
    with pytest.raises(UsageError, match="fold 3"):
        demo(tmp_path / "out", progress=False, **{**small, "subjects": 2})
    assert not (tmp_path / "out").exists()
