"""The demo and its report: the whole path on built-in data, held against the truth."""
