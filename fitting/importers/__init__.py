"""Importers of other morphable models: one file a format, all brought to glee's conventions."""
