"""A trained run applied to shards and videos, and how good it is."""
