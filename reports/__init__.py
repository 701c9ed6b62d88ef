"""What a run was worth: the demo, its measures, and reports that a browser shows offline."""
