"""Labels whose columns stand in another's place differ from the published ratios."""

from __future__ import annotations

import numpy as np
import pytest

from glee.pipeline.datasets import bp4d, bp4d_plus, disfa, disfa_plus
from glee.pipeline.datasets.label_files import relative_ratios, scaled_to
from glee.pipeline.verification.labels import LabelCounts


def labels_of(ratios, count=20_000, seed=0):
    """Labels (count, a) int8 with these ratios."""
    random = np.random.default_rng(seed)
    return (random.random((count, len(ratios))) < np.asarray(ratios)).astype(np.int8)


def counted(module, values, kind="occurrence"):
    counts = LabelCounts()
    counts.add(tuple(f"AU{au}" for au in module.AUS), kind, values)
    return counts, counts.table(2, module.RELATIVE_RATIOS)


def bp4d_labels():
    """BP4D's, each AU a tenth more or less frequent than published."""
    random = np.random.default_rng(1)
    ratios = [0.34 * bp4d.RELATIVE_RATIOS[au] * random.uniform(0.9, 1.1) for au in bp4d.AUS]
    return labels_of(ratios)


def test_a_dataset_in_order():
    counts, table = counted(bp4d, bp4d_labels())
    for row in table:
        assert row.published == pytest.approx(row.present, rel=0.2)
    assert counts.problems(table, share=1) == []


def test_what_is_known_of_the_published_ratios():
    """Smiles and lips apart are frequent, the brows' and the chin's AUs rare."""
    ordered = sorted(bp4d.AUS, key=bp4d.RELATIVE_RATIOS.__getitem__)
    assert set(ordered[-5:]) == {6, 7, 10, 12, 14}
    assert max(disfa.RELATIVE_RATIOS, key=disfa.RELATIVE_RATIOS.__getitem__) == 25
    assert bp4d_plus.RELATIVE_RATIOS is None
    assert disfa_plus.RELATIVE_RATIOS is None


def test_two_swapped_columns():
    values = bp4d_labels()
    one, other = bp4d.AUS.index(2), bp4d.AUS.index(12)
    values[:, [one, other]] = values[:, [other, one]]
    counts, table = counted(bp4d, values)
    problems = counts.problems(table, share=1)
    assert {problem.text.split()[0] for problem in problems} == {"AU2", "AU12"}
    assert all(problem.wrong and "are columns swapped?" in problem.text for problem in problems)
    # A part of the subjects: worth knowing; a small part says nothing.
    assert all(not problem.wrong for problem in counts.problems(table, share=0.5))
    assert counts.problems(table, share=0.1) == []


def test_disfa_read_in_the_order_of_file_names():
    """au1, au12, au15, au17, au2 ...: the mistake of a public loader."""
    ratios = {au: 0.12 * disfa.RELATIVE_RATIOS.get(au, 0.5) for au in disfa.AUS}
    right = 2 * labels_of([ratios[au] for au in disfa.AUS])
    assert (
        counted(disfa, right, "intensity")[0].problems(
            counted(disfa, right, "intensity")[1], share=1
        )
        == []
    )
    by_name = [disfa.AUS.index(au) for au in sorted(disfa.AUS, key=str)]
    counts, table = counted(disfa, right[:, by_name], "intensity")
    assert len(counts.problems(table, share=1)) >= 3


def test_proportions_are_the_inverse_of_the_weights():
    relative = relative_ratios((1, 2, 4), [(1.0, 2.0, 0.5), (2.0, 4.0, 1.0)])
    assert relative[1] / relative[2] == pytest.approx(2)
    assert relative[4] / relative[1] == pytest.approx(2)
    assert np.mean(list(relative.values())) == pytest.approx(1)


def test_the_scale_is_the_median_and_needs_four_aus():
    relative = {1: 0.5, 2: 1.0, 4: 1.0, 6: 1.5}
    present = {1: 0.1, 2: 0.2, 4: 0.9, 6: 0.3}
    assert scaled_to(relative, present) == pytest.approx({1: 0.1, 2: 0.2, 4: 0.2, 6: 0.3})
    assert scaled_to(relative, {1: 0.1, 2: 0.2, 4: 0.0}) == {}
