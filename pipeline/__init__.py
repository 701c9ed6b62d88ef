"""From videos to shards: datasets, frames, landmarks, aligned crops and the stages over them."""
