"""Files are whole or absent, however long their names are."""

from __future__ import annotations

import pytest

from glee.errors import OutputError
from glee.whole_files import remove_temporaries, temporary_beside, write_whole


@pytest.mark.parametrize("name", ["a.csv", "n" * 247 + ".parquet", "ü" * 120 + ".csv"])
def test_a_name_may_be_as_long_as_the_system_lets_it(tmp_path, name):
    write_whole(tmp_path / name, b"whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"whole"


def test_a_name_that_is_too_long_says_so(tmp_path):
    with pytest.raises(OutputError, match="give its source a shorter name"):
        write_whole(tmp_path / ("n" * 256), b"whole")
    assert list(tmp_path.iterdir()) == []


def test_temporaries_of_long_names_differ_and_are_removed(tmp_path):
    paths = [tmp_path / (letter * 250) for letter in "ab"]
    temporaries = [temporary_beside(path) for path in paths]
    assert temporaries[0] != temporaries[1]
    for temporary in temporaries:
        temporary.write_bytes(b"half")
    assert remove_temporaries(tmp_path) == 2
    assert list(tmp_path.iterdir()) == []
