"""Simple detectors for scale: what an SVM makes of landmarks and of f_exp."""
