"""Numerics: morphable model, camera, curves, Levenberg-Marquardt, renderer."""
