"""From a video to numbers without a dataset: `glee analyze`, frame by frame as they are decoded."""
