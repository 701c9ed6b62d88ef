"""Frames, batches, triplets and folds, each a function of seed and step."""
