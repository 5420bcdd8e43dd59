"""Attacks on a running service, each with a figure; `python -m tests.attacks` runs them all."""
