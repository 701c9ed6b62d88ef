"""Pixels: frames read in order and in place, faces cut, aligned, encoded."""
