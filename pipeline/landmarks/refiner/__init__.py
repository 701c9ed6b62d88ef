"""A refiner of landmarks: from a face and its first landmarks to 68 points with covariances."""
