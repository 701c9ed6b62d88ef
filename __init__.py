"""glee: from videos of faces to Action Units, every step checkable."""

__version__ = "0.1.0"
