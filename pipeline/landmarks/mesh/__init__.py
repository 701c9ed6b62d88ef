"""The `mesh` detector: MediaPipe's face detector and face mesh of 2023, run by torch modules.

Weights: mesh_weights.npz, converted by tools/convert_mesh_weights.py from MediaPipe's bundle
face_landmarker.task (Apache-2.0, Google LLC). Nothing here imports torch before the detector is
loaded.
"""
