"""A morphable model: bases, named points on its surface, its file, how a detector errs on it."""
