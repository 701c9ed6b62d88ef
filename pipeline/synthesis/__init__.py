"""Rendered people with known truth, in a real dataset's layout."""
