"""GLEE-Net: network, losses, training, metrics and prediction."""
