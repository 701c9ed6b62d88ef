"""The embedded morphable model and the scripts that build it."""
