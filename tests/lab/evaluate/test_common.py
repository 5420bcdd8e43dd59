"""Properties that every metric must have, run over one registry that fails when a metric is forgotten."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dermquery.data.case import Case
from dermquery.data.checklist import agreement
from dermquery.lab.evaluate import metrics, usefulness
from dermquery.lab.evaluate.per_query import LABEL_METRICS, QUERY_USEFULNESS, label_metrics, query_columns
from dermquery.lab.evaluate.ranking import Ranking
from dermquery.lab.evaluate.result_block import evaluate_ranking
from tests.lab.evaluate.strategies import Problem, problems, random_problem
from tests.lab.reference import naive_evaluation as naive

Gain = Callable[[Case, Case], float]


def label_gain(query: Case, hit: Case) -> float:
    return float(naive.same_label(query, hit))


def fine_gain(query: Case, hit: Case) -> float:
    return float(naive.same_fine(query, hit))


def checklist_gain(query: Case, hit: Case) -> float:
    return agreement(query.checklist, hit.checklist)


def graded_gain(query: Case, hit: Case) -> float:
    return naive.gains(query, [hit])[0]


@dataclass(frozen=True)
class Spec:
    """One metric.

    fast: the implementation, per query or for the whole ranking.
    slow: the loops, one value for each query, or one for the whole ranking.
    gain: what a perfect ranking sorts by; None if the metric does not judge single answers.
    functions: the public functions that this entry stands for.
    best: the value of a perfect ranking, from a query's gains in ideal order.
    highest: the upper end of the range; None if it has none.
    sign: -1 where lower is better.
    """

    fast: Callable[[Ranking], Any]
    slow: Callable[[list[Case], list[list[Case]], list[Case]], Any]
    gain: Gain | None
    functions: tuple[str, ...]
    best: Callable[[list[float]], float] | None = None
    highest: float | None = 1.0
    sign: int = 1


def each(metric: Callable[[list[bool]], float], same: Callable[[Case, Case], bool] = naive.same_label) -> Any:
    return lambda queries, lists, gallery: [
        metric(naive.relevant(query, ranked, same)) for query, ranked in zip(queries, lists, strict=True)
    ]


def label(fast: Callable[..., Any], **known: Any) -> Callable[[Ranking], Any]:
    return lambda ranking: fast(ranking.same("diagnosis"), **known)


def _one(ideal: list[float]) -> float:
    return 1.0


def _registry() -> dict[str, Spec]:
    found: dict[str, Spec] = {}
    for k in range(1, 11):
        slow = each(partial(naive.accuracy_at, k=k))
        found[f"acc@{k}"] = Spec(label(metrics.accuracy_at, k=k), slow, label_gain, ("accuracy_at",), _one)
    found["acc_mean"] = Spec(
        lambda r: label_metrics(r.same())["acc_mean"], each(naive.accuracy_mean), label_gain, (), _one
    )
    found["ap"] = Spec(
        label(metrics.average_precision), each(naive.average_precision), label_gain, ("average_precision",), _one
    )
    found["map"] = Spec(
        label(metrics.mean_average_precision),
        lambda q, lists, g: naive.mean(each(naive.average_precision)(q, lists, g)),
        label_gain,
        ("mean_average_precision", "mean_known"),
        _one,
    )
    for k in (1, 5, 10):
        found[f"p@{k}"] = Spec(
            label(metrics.precision_at, k=k),
            each(partial(naive.precision_at, k=k)),
            label_gain,
            ("precision_at",),
            lambda ideal, k=k: sum(ideal[:k]) / k,  # type: ignore[misc]
        )
        found[f"r@{k}"] = Spec(
            label(metrics.recall_at, k=k),
            each(partial(naive.recall_at, k=k)),
            label_gain,
            ("recall_at",),
            lambda ideal, k=k: sum(ideal[:k]) / sum(ideal),  # type: ignore[misc]
        )
    found["first_relevant_rank"] = Spec(
        label(metrics.first_relevant_rank),
        each(naive.first_relevant_rank),
        label_gain,
        ("first_relevant_rank",),
        _one,
        highest=None,
        sign=-1,
    )
    return found | _useful_registry()


def _useful_registry() -> dict[str, Spec]:
    return {
        "coverage@5": Spec(
            lambda r: usefulness.coverage_at(r.order, len(r.gallery), 5),
            lambda q, lists, g: naive.coverage_at(lists, g, 5),
            None,
            ("coverage_at",),
        ),
        "largest_occurrence@5": Spec(
            lambda r: usefulness.largest_occurrence_at(r.order, 5),
            lambda q, lists, g: naive.largest_occurrence_at(lists, g, 5),
            None,
            ("largest_occurrence_at",),
        ),
        "checklist_agreement@5": Spec(
            lambda r: usefulness.checklist_agreement_at(r, 5),
            lambda q, lists, g: [naive.checklist_agreement_at(a, b, 5) for a, b in zip(q, lists, strict=True)],
            checklist_gain,
            ("checklist_agreement_at", "encode_checklist"),
            lambda ideal: sum(ideal[:5]) / len(ideal[:5]),
        ),
        "fine_p@5": Spec(
            lambda r: usefulness.fine_precision_at(r, 5),
            each(partial(naive.precision_at, k=5), naive.same_fine),
            fine_gain,
            ("fine_precision_at",),
            lambda ideal: sum(ideal[:5]) / 5,
        ),
        "ndcg@10": Spec(
            lambda r: usefulness.graded_ndcg_at(r, 10),
            lambda q, lists, g: [naive.ndcg_at(naive.gains(a, b), 10) for a, b in zip(q, lists, strict=True)],
            graded_gain,
            ("graded_ndcg_at", "graded_gains", "ndcg_at"),
            _one,
        ),
    }


REGISTRY = _registry()
NOT_METRICS = {"check_cutoff"}
CHANCE = {name for module in (metrics, usefulness) for name in module.__all__ if name.startswith("chance_")}
"""Expectations, not metrics; each is held against an enumeration in test_chance.py."""

every_metric = pytest.mark.parametrize("name", REGISTRY)


def by_gain(problem: Problem, gain: Gain, sign: float = 1.0) -> Problem:
    scores = [[sign * gain(query, hit) for hit in problem.gallery] for query in problem.queries]
    return Problem(problem.queries, problem.gallery, np.array(scores, np.float64))


def values(name: str, ranking: Ranking) -> NDArray[np.float64]:
    return np.atleast_1d(np.asarray(REGISTRY[name].fast(ranking), np.float64))


def test_no_metric_is_forgotten() -> None:
    tested = {function for spec in REGISTRY.values() for function in spec.functions} | NOT_METRICS | CHANCE
    public = {*metrics.__all__, *usefulness.__all__}
    assert public - tested == set(), "add the new metric to the registry above"
    block = evaluate_ranking(random_problem(0, 6, 20).rank(), protocol="external", n_boot=10)
    reported = {*block.micro, *block.macro, *block.usefulness, *LABEL_METRICS, *QUERY_USEFULNESS}
    reported |= {key for row in block.per_query for key in row if key not in ("case_id", "group", "diagnosis")}
    assert reported - set(REGISTRY) == {"n_admissible", "n_relevant"}, "add the reported value to the registry above"


@every_metric
@settings(max_examples=40)
@given(problem=problems())
def test_fast_equals_slow_loops(name: str, problem: Problem) -> None:
    lists = naive.rank(problem.scores.tolist(), problem.queries, problem.gallery)
    expected = REGISTRY[name].slow(problem.queries, lists, problem.gallery)
    np.testing.assert_allclose(values(name, problem.rank()), np.atleast_1d(expected), rtol=1e-12, atol=1e-12)


@every_metric
@settings(max_examples=15)
@given(problem=problems(), seed=st.integers(0, 1000))
def test_invariant_to_the_order_of_the_gallery(name: str, problem: Problem, seed: int) -> None:
    np.testing.assert_array_equal(values(name, problem.rank()), values(name, problem.shuffled(seed).rank()))


@every_metric
@settings(max_examples=15)
@given(problem=problems(), scale=st.floats(0.01, 100), shift=st.floats(-5, 5))
def test_invariant_to_monotone_transforms_of_the_scores(
    name: str, problem: Problem, scale: float, shift: float
) -> None:
    transformed = Problem(problem.queries, problem.gallery, np.arctan(problem.scores) * scale + shift)
    np.testing.assert_array_equal(values(name, problem.rank()), values(name, transformed.rank()))


@every_metric
@settings(max_examples=15)
@given(problem=problems())
def test_range(name: str, problem: Problem) -> None:
    found = values(name, problem.rank())
    known = found[~np.isnan(found)]
    highest = REGISTRY[name].highest
    assert (known >= 0).all()
    assert (known <= (len(problem.gallery) if highest is None else highest + 1e-12)).all()


@every_metric
@settings(max_examples=20)
@given(problem=problems(gaps=False))
def test_perfect_is_best_and_worst_is_lowest(name: str, problem: Problem) -> None:
    spec = REGISTRY[name]
    if spec.gain is None or spec.best is None:
        assert name in ("coverage@5", "largest_occurrence@5")
        return
    perfect = by_gain(problem, spec.gain).rank()
    best, some = values(name, perfect), values(name, problem.rank())
    worst = values(name, by_gain(problem, spec.gain, -1.0).rank())
    known = ~np.isnan(best)
    assert (spec.sign * best[known] >= spec.sign * some[known] - 1e-12).all()
    assert (spec.sign * some[known] >= spec.sign * worst[known] - 1e-12).all()
    lists = naive.rank([[0.0] * len(problem.gallery)] * len(problem.queries), problem.queries, problem.gallery)
    for value, query, ranked in zip(best, problem.queries, lists, strict=False):
        if not math.isnan(value):
            ideal = sorted((spec.gain(query, hit) for hit in ranked), reverse=True)
            assert value == pytest.approx(spec.best(ideal))


@every_metric
def test_rows_are_independent_of_their_batch(name: str) -> None:
    """The batched path equals one query at a time (for the metrics that judge single answers)."""
    problem = random_problem(5, 9, 30)
    ranking = problem.rank()
    if REGISTRY[name].gain is None or name == "map":
        return
    single = [values(name, block) for block in ranking.blocks(1)]
    np.testing.assert_array_equal(values(name, ranking), np.concatenate(single))


def test_report_columns_are_the_registered_metrics() -> None:
    problem = random_problem(11, 8, 40)
    columns = query_columns(problem.rank())
    for name in (*LABEL_METRICS, *QUERY_USEFULNESS):
        np.testing.assert_array_equal(columns[name], values("ap" if name == "map" else name, problem.rank()))
