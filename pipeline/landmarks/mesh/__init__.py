"""The `mesh` detector: MediaPipe's face detector and attention mesh, run by torch modules.

Weights: mesh_weights.npz, converted by `convert_weights` from the wheel mediapipe 0.10.21
(Apache-2.0, Google LLC). Nothing here imports torch before the detector is loaded.
"""
