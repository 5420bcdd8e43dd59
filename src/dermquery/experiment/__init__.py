"""Experiments: one training, a cross-validation, an evaluation of a model. Every number leaves here as JSON."""

from dermquery.experiment.crossval import crossval
from dermquery.experiment.evaluation import evaluate_model
from dermquery.experiment.provenance import provenance, write_json
from dermquery.experiment.training import train

__all__ = ["crossval", "evaluate_model", "provenance", "train", "write_json"]
