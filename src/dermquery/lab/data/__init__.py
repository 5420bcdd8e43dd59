"""Folds, and the sets of cases and texts that evaluation reads."""
