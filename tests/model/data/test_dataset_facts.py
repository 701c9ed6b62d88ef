"""Facts of datasets, and who is the same person in two of them."""

from __future__ import annotations

from glee.model.data.au_dataset import dataset_facts, same_people


def test_facts():
    facts = dataset_facts("disfa")
    assert facts.aus == (1, 2, 4, 6, 9, 12, 25, 26)
    assert facts.threshold == 2
    assert [len(fold) for fold in facts.folds] == [9, 9, 9]
    assert dataset_facts("folder").folds == ()
    assert dataset_facts("made_up").aus == ()


def test_same_people():
    assert same_people("disfa", "disfa-plus")
    assert same_people("folder", "folder")
    assert not same_people("bp4d", "bp4d-plus")
    assert not same_people("folder", "made_up")
