"""The kernels of Eq. 3 on one frame, in the order in which they are read."""
