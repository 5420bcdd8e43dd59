"""Experiments: one training, a cross-validation, an evaluation. Every number leaves here as JSON."""

from dermquery.experiment.crossval import crossval
from dermquery.experiment.evaluation import evaluate_model
from dermquery.experiment.pointing import evaluate_regions
from dermquery.experiment.provenance import provenance, write_json
from dermquery.experiment.texts import evaluate_texts
from dermquery.experiment.training import train

__all__ = ["crossval", "evaluate_model", "evaluate_regions", "evaluate_texts", "provenance", "train", "write_json"]
