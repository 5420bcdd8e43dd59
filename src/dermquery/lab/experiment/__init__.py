"""Experiments: one training, a cross-validation, an evaluation. Every number leaves here as JSON."""

from dermquery.lab.experiment.crossval import crossval
from dermquery.lab.experiment.evaluation import evaluate_model
from dermquery.lab.experiment.provenance import provenance, write_json
from dermquery.lab.experiment.training import train
from dermquery.lab.studies.pointing import evaluate_regions
from dermquery.lab.studies.written_texts import evaluate_texts

__all__ = ["crossval", "evaluate_model", "evaluate_regions", "evaluate_texts", "provenance", "train", "write_json"]
