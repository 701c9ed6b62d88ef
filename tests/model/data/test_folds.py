"""Folds: each subject tested once, never trained on in its fold."""

from __future__ import annotations

import json

import pytest

from glee.errors import DataError
from glee.model.data.folds import choose_split, seeded_split
from glee.pipeline.datasets import disfa


def test_disfa_uses_its_published_folds():
    subjects = [subject for fold in disfa.FOLDS for subject in fold]
    split = choose_split(subjects, "disfa")
    assert split == {str(i + 1): tuple(sorted(fold)) for i, fold in enumerate(disfa.FOLDS)}


def test_part_of_disfa_keeps_the_folds():
    split = choose_split(["SN003", "SN001", "SN006", "SN002"], "disfa", seed=9)
    assert split == {"1": ("SN001", "SN002"), "2": ("SN006",), "3": ("SN003",)}


def test_fold_without_subject_leads_to_a_seeded_split():
    subjects = ["SN001", "SN002", "SN009", "SN010"]
    split = choose_split(subjects, "disfa", seed=1)
    assert sorted(sum(split.values(), ())) == subjects
    assert all(split.values())


def test_seeded_split_is_balanced_exclusive_and_repeats():
    subjects = [f"F{i:03d}" for i in range(41)]
    split = seeded_split(subjects, seed=3)
    assert split == seeded_split(subjects[::-1], seed=3)
    assert split != seeded_split(subjects, seed=4)
    assert sorted(len(fold) for fold in split.values()) == [13, 14, 14]
    assert sorted(sum(split.values(), ())) == subjects


def test_split_file(tmp_path):
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"1": ["a", "b"], "2": ["c", "gone"]}))
    assert choose_split(["a", "b", "c"], "disfa", file=path) == {"1": ("a", "b"), "2": ("c",)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be used"),
        ('["a"]', "cannot be used"),
        ('{"1": ["a"], "2": ["a", "b", "c"]}', "two folds"),
        ('{"1": ["a"], "2": ["b"]}', "no fold"),
        ('{"1": ["a", "b", "c"], "2": []}', "nothing to test or train"),
        ('{"../1": ["a"], "2": ["b", "c"]}', "letters and digits"),
    ],
)
def test_split_files_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "split.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        choose_split(["a", "b", "c"], "disfa", file=path)


def test_too_few_subjects():
    with pytest.raises(DataError, match="2 subjects"):
        choose_split(["a", "b"], "folder")
