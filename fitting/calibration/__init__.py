"""A model's landmarks laid where a detector sees them, over random renders."""
