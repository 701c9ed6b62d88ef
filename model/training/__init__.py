"""The trainer: pre-training (Eq. 4) and training on Action Units (Eq. 5)."""
