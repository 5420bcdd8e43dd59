"""Metrics, protocols, significance, tables and figures.

In four lines: choose the sets, rank, judge, and print::

    queries, gallery = protocol_sets(Protocol.UNSEEN, folds, 0, cases)
    ranking = rank(scores, queries, gallery)
    block = evaluate_ranking(ranking, protocol=Protocol.UNSEEN)
    print(block.micro["map"], block.intervals["map"], block.chance["map"])
"""

from dermquery.lab.evaluate.combine import combine_folds, compare_coverage, compare_systems
from dermquery.lab.evaluate.intervals import holm
from dermquery.lab.evaluate.protocols import Protocol, protocol_sets
from dermquery.lab.evaluate.ranking import Ranking, exclude_own, exclude_patient, rank
from dermquery.lab.evaluate.result_block import EvaluationBlock, evaluate_ranking

__all__ = [
    "EvaluationBlock",
    "Protocol",
    "Ranking",
    "combine_folds",
    "compare_coverage",
    "compare_systems",
    "evaluate_ranking",
    "exclude_own",
    "exclude_patient",
    "holm",
    "protocol_sets",
    "rank",
]
