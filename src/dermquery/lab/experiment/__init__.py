"""Experiments: one training, one evaluation, and the comparison of systems on the same folds."""

from dermquery.lab.experiment.comparison import Plan, Row, crossval_rows, predict
from dermquery.lab.experiment.comparison_result import report
from dermquery.lab.experiment.evaluation import evaluate_ranker, ranker_of
from dermquery.lab.experiment.provenance import provenance, write_json, write_result
from dermquery.lab.experiment.reading_out import fit_readout
from dermquery.lab.experiment.teaching import HELD_OUT, held_out, teach, teacher_vision, tune
from dermquery.lab.experiment.training import nothing_trained, train

__all__ = [
    "HELD_OUT",
    "Plan",
    "Row",
    "crossval_rows",
    "evaluate_ranker",
    "fit_readout",
    "held_out",
    "nothing_trained",
    "predict",
    "provenance",
    "ranker_of",
    "report",
    "teach",
    "teacher_vision",
    "train",
    "tune",
    "write_json",
    "write_result",
]
