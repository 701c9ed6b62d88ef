"""Where tasks run, and their outcomes as they come. Nothing here knows of faces."""
