"""The `mesh` detector: MediaPipe's face detector and attention mesh, run by torch modules."""
