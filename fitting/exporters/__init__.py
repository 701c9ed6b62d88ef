"""Exporters of meshes and models: OBJ, glTF with morph targets, .npz."""
