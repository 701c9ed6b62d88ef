"""GLEE-Net, one file a branch, named as in the paper."""
