import csv
import io
import json

import pytest

from glee.reports.experiments.comparison import (
    TableComparison,
    blocks,
    comparison_plot,
    csv_of,
    data_of,
    markdown_of,
    measured_row,
    published_table,
    text_of,
)

AUS = ("AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU25", "AU26")


def results(share):
    f1 = dict.fromkeys(AUS, share)
    return {"aus": list(AUS), "f1": {**f1, "mean": share}, "f1_interval": [share - 0.1, None]}


def comparison(synthetic, quick=False):
    return TableComparison(
        title="Table 2 of the paper, on disfa",
        published=published_table(2),
        measured=(measured_row("GLEE-Net", results(0.7)), measured_row("SVM", results(0.5))),
        on=f"{'SYNTHETIC people in the layout of ' if synthetic else ''}disfa (9 subjects)",
        synthetic=synthetic,
        quick=quick,
        notes=("a note",),
    )


def test_on_a_dataset_ours_stands_beside_the_papers():
    ((heading, rows),) = blocks(comparison(synthetic=False))
    assert "Published" in heading
    assert rows[0] == ["method", *AUS, "Avg.", "95 % of Avg."]
    by_name = {row[0]: row for row in rows}
    assert by_name["GLEE-Net"][-2] == "65.5"
    assert by_name["GLEE-Net (this run)"][-2] == "70.0"
    assert by_name["SVM (this run)"][1] == "50.0"
    less = by_name["GLEE-Net: this run less the paper"]
    assert less[-2] == "+4.5"
    assert less[1] == "+8.1"  # AU1: 70.0 less 61.9
    assert "SVM: this run less the paper" not in by_name


def test_on_rendered_people_no_heading_is_shared():
    (published, theirs), (own, ours) = blocks(comparison(synthetic=True))
    assert "Published" in published
    assert "SYNTHETIC" in own
    assert "not comparable" in own
    assert not any("this run" in row[0] for row in theirs)
    assert [row[0] for row in ours] == ["method", "GLEE-Net", "SVM"]


@pytest.mark.parametrize("write", [text_of, markdown_of, lambda one: json.dumps(data_of(one))])
def test_every_output_says_that_it_is_synthetic(write):
    assert "SYNTHETIC DATA" in write(comparison(synthetic=True))
    assert "SYNTHETIC" not in write(comparison(synthetic=False))
    assert "QUICK" in write(comparison(synthetic=False, quick=True))


def test_csv_keeps_origins_apart():
    rows = list(csv.DictReader(io.StringIO(csv_of(comparison(synthetic=True)))))
    ours = [row for row in rows if row["origin"] != "published"]
    assert {row["origin"] for row in ours} == {"this run, synthetic people"}
    assert len(ours) == 2 * 9
    jaa = {row["au"]: row["f1_percent"] for row in rows if row["method"] == "JAA-Net"}
    assert jaa["AU1"] == "62.4"
    assert jaa["Avg."] == "63.5"


def test_data_tell_whether_they_compare():
    synthetic, real = data_of(comparison(True)), data_of(comparison(False))
    assert not synthetic["comparable_with_published"]
    assert "measured" not in synthetic
    assert synthetic["measured_on_synthetic_people"]["f1_percent"]["SVM"]["Avg."] == 50
    assert real["comparable_with_published"]
    assert real["measured"]["interval_percent"]["GLEE-Net"] == [pytest.approx(60), None]
    assert not data_of(comparison(False, quick=True))["comparable_with_published"]


def test_the_plot_says_synthetic_in_its_own_panel():
    left, right = comparison_plot(comparison(synthetic=True)).axes
    assert "SYNTHETIC" in right.get_title()
    assert "Published" in left.get_title()
    assert [text.get_text() for text in right.get_yticklabels()] == ["GLEE-Net", "SVM"]
