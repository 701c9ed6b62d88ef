"""One chunk's HDF5 file: whole or absent, checked when it is read."""
