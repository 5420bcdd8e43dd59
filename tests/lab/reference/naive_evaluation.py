"""The evaluation again, as slow loops over plain lists, written from the paper's equations and design section 3.

Nothing is shared with `dermquery.lab.evaluate`: a ranked list is a Python list of cases, best first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA, agreement

NAN = float("nan")
Ranked = list[Case]


def rank(scores: Sequence[Sequence[float]], queries: Sequence[Case], gallery: Sequence[Case]) -> list[Ranked]:
    lists = []
    for row, query in zip(scores, queries, strict=True):
        admissible = [(score, case) for score, case in zip(row, gallery, strict=True) if not query.same_lesion(case)]
        lists.append([case for _, case in sorted(admissible, key=lambda pair: (-pair[0], pair[1].case_id))])
    return lists


def same_label(query: Case, hit: Case) -> bool:
    return query.diagnosis is not None and query.diagnosis == hit.diagnosis


def same_fine(query: Case, hit: Case) -> bool:
    return query.fine_diagnosis is not None and query.fine_diagnosis == hit.fine_diagnosis


def relevant(query: Case, ranked: Ranked, same: Callable[[Case, Case], bool] = same_label) -> list[bool]:
    return [same(query, hit) for hit in ranked]


def precision_at(rel: Sequence[bool], k: int) -> float:
    if not any(rel):
        return NAN
    hits = 0
    for r in range(min(k, len(rel))):
        hits += rel[r]
    return hits / k


def recall_at(rel: Sequence[bool], k: int) -> float:
    return sum(rel[:k]) / sum(rel) if any(rel) else NAN


def accuracy_at(rel: Sequence[bool], k: int) -> float:
    if not any(rel):
        return NAN
    for item in rel[:k]:
        if item:
            return 1.0
    return 0.0


def accuracy_mean(rel: Sequence[bool]) -> float:
    return sum(accuracy_at(rel, k) for k in range(1, 11)) / 10


def average_precision(rel: Sequence[bool]) -> float:
    total = 0.0
    for r in range(1, len(rel) + 1):
        if rel[r - 1]:
            total += precision_at(rel, r)
    return total / sum(rel) if any(rel) else NAN


def first_relevant_rank(rel: Sequence[bool]) -> float:
    for position, item in enumerate(rel, start=1):
        if item:
            return float(position)
    return NAN


def ndcg_at(gains: Sequence[float], k: int) -> float:
    def dcg(values: Sequence[float]) -> float:
        return sum(value / math.log2(position + 1) for position, value in enumerate(values[:k], start=1))

    ideal = dcg(sorted(gains, reverse=True))
    return dcg(gains) / ideal if ideal > 0 else NAN


def gains(query: Case, ranked: Ranked) -> list[float]:
    return [
        same_label(query, hit) + same_fine(query, hit) + agreement(query.checklist, hit.checklist) for hit in ranked
    ]


def checklist_agreement_at(query: Case, ranked: Ranked, k: int) -> float:
    shares = []
    for hit in ranked[:k]:
        both = [name for name in CRITERIA if query.checklist.get(name) and hit.checklist.get(name)]
        if both:
            shares.append(sum(query.checklist[name] == hit.checklist[name] for name in both) / len(both))
    return sum(shares) / len(shares) if shares else NAN


def coverage_at(lists: Sequence[Ranked], gallery: Sequence[Case], k: int) -> float:
    shown = {hit.case_id for ranked in lists for hit in ranked[:k]}
    return len(shown) / len(gallery)


def largest_occurrence_at(lists: Sequence[Ranked], gallery: Sequence[Case], k: int) -> float:
    most = 0
    for case in gallery:
        most = max(most, sum(case.case_id in {hit.case_id for hit in ranked[:k]} for ranked in lists))
    return most / len(lists)


def mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else NAN


def expectation(metric: Callable[[list[bool]], float], n: int, r: int) -> float:
    """Exact mean of a label metric over every placement of `r` relevant cases among `n`."""
    placements = list(itertools.combinations(range(n), r))
    values = [Fraction(metric([i in placed for i in range(n)])).limit_denominator(10**9) for placed in placements]
    return float(sum(values) / len(placements))
