"""Where a face is and its 68 points: the protocol of a backend, the backends, tracking."""
