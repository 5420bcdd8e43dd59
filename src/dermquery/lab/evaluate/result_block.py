"""Evaluate one ranking: the block of results that is written to JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from dermquery.lab.evaluate import usefulness
from dermquery.lab.evaluate.intervals import by_class, percentile_interval
from dermquery.lab.evaluate.metrics import FloatArray, mean_known
from dermquery.lab.evaluate.per_query import LABEL_METRICS, QUERY_USEFULNESS, Columns, bootstrap_columns, query_columns
from dermquery.lab.evaluate.protocols import Protocol
from dermquery.lab.evaluate.ranking import Ranking

__all__ = ["EvaluationBlock", "evaluate_ranking"]

Values = dict[str, float | None]
Row = dict[str, str | int | float | None]
Intervals = dict[str, tuple[float | None, float | None]]


class EvaluationBlock(BaseModel):
    """The results of one system under one protocol (one fold of it, in cross-validation).

    A value that is not defined is None. Keys of the metric dictionaries are :data:`LABEL_METRICS`.

    Attributes:
        protocol: ``seen``, ``unseen`` or ``external``.
        n: queries that were ranked.
        n_without_relevant: those of them whose gallery holds no case of their diagnosis; they are left out of the
            label metrics' means, which are over ``n - n_without_relevant`` queries.
        n_gallery: cases in the gallery, before a query's own lesion is taken out.
        micro: means over queries.
        macro: means over diagnoses of the diagnosis's mean.
        per_class: by the query's diagnosis: ``n``, ``n_without_relevant`` and the same metrics.
        chance, chance_macro, chance_per_class: the same under a random order, in closed form.
        usefulness: ``coverage@5``, ``largest_occurrence@5`` and :data:`QUERY_USEFULNESS`.
        usefulness_n: on how many queries each of :data:`QUERY_USEFULNESS` is defined.
        chance_usefulness: the same under a random order; the largest occurrence has no closed form and is None.
        intervals: 95 % bootstrap intervals over groups of queries. ``map`` is the micro value's, ``macro_map`` the
            macro one's, ``map[nevus]`` a diagnosis's; likewise for each metric that is a mean over queries.
        bootstrap: ``n_boot`` and ``seed`` of the intervals.
        per_query: a row for each query: its id, group, diagnosis, ``n_admissible`` cases and ``n_relevant`` among
            them, ``first_relevant_rank`` (from 1), ``ap`` and the other metrics. Empty if it was not asked for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    protocol: str
    n: int
    n_without_relevant: int
    n_gallery: int
    micro: Values
    macro: Values
    per_class: dict[str, dict[str, int | float | None]]
    chance: Values
    chance_macro: Values
    chance_per_class: dict[str, Values]
    usefulness: Values
    usefulness_n: dict[str, int]
    chance_usefulness: Values
    intervals: Intervals
    bootstrap: dict[str, int]
    per_query: list[Row] = []


def to_json(value: float | FloatArray) -> float | None:
    """A scalar, with None for NaN."""
    number = float(value)
    return None if np.isnan(number) else number


def query_name(metric: str) -> str:
    """A query's share of the mean "map" is its AP."""
    return "ap" if metric == "map" else metric


def _class_means(columns: Columns, classes: Sequence[str], prefix: str = "") -> dict[str, Values]:
    labels, split = by_class(np.stack([columns[prefix + m] for m in LABEL_METRICS], axis=1), classes)
    means = mean_known(split, axis=0).reshape(len(labels), -1)
    return {
        label: {m: to_json(v) for m, v in zip(LABEL_METRICS, row, strict=True)}
        for label, row in zip(labels, means, strict=True)
    }


def _mean_of(dicts: Iterable[Values], names: Iterable[str]) -> Values:
    """Mean per key of the values that are defined."""
    listed = list(dicts)
    return {name: to_json(mean_known([value for d in listed if (value := d[name]) is not None])) for name in names}


def interval_dict(replicates: Columns, n_groups: int) -> Intervals:
    """One group cannot show any variation, so it gets no interval rather than one of width 0."""
    if n_groups < 2:
        return dict.fromkeys(replicates, (None, None))
    ends = {name: percentile_interval(values) for name, values in replicates.items()}
    return {name: (to_json(low), to_json(high)) for name, (low, high) in ends.items()}


def _check_labels(ranking: Ranking) -> list[str]:
    for side, cases in (("queries", ranking.queries), ("gallery", ranking.gallery)):
        if unknown := [case.case_id for case in cases if not case.diagnosis]:
            raise ValueError(
                f"{len(unknown)} cases of the {side} have no diagnosis, the first is {unknown[0]!r}; "
                "an evaluation needs one for every case: fill it in, or leave these cases out"
            )
    if not ranking.queries or not ranking.gallery:
        raise ValueError(f"{len(ranking.queries)} queries and {len(ranking.gallery)} gallery cases; both must not be 0")
    return [case.diagnosis or "" for case in ranking.queries]


def _usefulness(ranking: Ranking, columns: Columns) -> tuple[Values, Values]:
    found: Values = {
        "coverage@5": to_json(usefulness.coverage_at(ranking.order, len(ranking.gallery), 5)),
        "largest_occurrence@5": to_json(usefulness.largest_occurrence_at(ranking.order, 5)),
    }
    chance: Values = {
        "coverage@5": to_json(usefulness.chance_coverage_at(ranking.order, 5)),
        "largest_occurrence@5": None,
    }
    for name in QUERY_USEFULNESS:
        found[name] = to_json(mean_known(columns[name]))
        # A query on which the system's value is undefined is left out of both means, so that they compare.
        chance[name] = to_json(mean_known(np.where(np.isnan(columns[name]), np.nan, columns[f"chance {name}"])))
    return found, chance


def _rows(ranking: Ranking, columns: Columns) -> list[Row]:
    whole = ("n_admissible", "n_relevant", "first_relevant_rank")
    rows: list[Row] = []
    for i, case in enumerate(ranking.queries):
        row: Row = {"case_id": case.case_id, "group": case.group, "diagnosis": case.diagnosis}
        row |= {name: None if np.isnan(columns[name][i]) else int(columns[name][i]) for name in whole}
        row |= {query_name(m): to_json(columns[m][i]) for m in (*LABEL_METRICS, *QUERY_USEFULNESS)}
        rows.append(row)
    return rows


def evaluate_ranking(
    ranking: Ranking, *, protocol: Protocol | str, n_boot: int = 1000, seed: int = 0, keep_per_query: bool = True
) -> EvaluationBlock:
    """Judge a ranking: label metrics, their chance values, usefulness and bootstrap intervals.

    Args:
        ranking: from :func:`dermquery.lab.evaluate.ranking.rank`.
        protocol: what the ranking's queries and gallery are; it is written into the result.
        n_boot: bootstrap resamples; 0 for a block without intervals.
        seed: of the bootstrap.
        keep_per_query: keep a row for each query; combining folds and comparing systems need them.

    Raises:
        ValueError: if there are no queries, no gallery, or a case has no diagnosis.
    """
    classes = _check_labels(ranking)
    columns = query_columns(ranking)
    groups = [case.group for case in ranking.queries]
    lone = columns["n_relevant"] == 0
    per_class, chance_per_class = _class_means(columns, classes), _class_means(columns, classes, "chance ")
    members = {label: np.array([name == label for name in classes]) for label in per_class}
    useful, chance_useful = _usefulness(ranking, columns)
    return EvaluationBlock(
        protocol=str(Protocol(protocol)),
        n=len(ranking.queries),
        n_without_relevant=int(lone.sum()),
        n_gallery=len(ranking.gallery),
        micro={m: to_json(mean_known(columns[m])) for m in LABEL_METRICS},
        macro=_mean_of(per_class.values(), LABEL_METRICS),
        per_class={
            label: {"n": int(own.sum()), "n_without_relevant": int((own & lone).sum()), **per_class[label]}
            for label, own in members.items()
        },
        chance={m: to_json(mean_known(columns[f"chance {m}"])) for m in LABEL_METRICS},
        chance_macro=_mean_of(chance_per_class.values(), LABEL_METRICS),
        chance_per_class=chance_per_class,
        usefulness=useful,
        usefulness_n={name: int((~np.isnan(columns[name])).sum()) for name in QUERY_USEFULNESS},
        chance_usefulness=chance_useful,
        intervals=interval_dict(bootstrap_columns(columns, classes, groups, n_boot, [seed]), len(set(groups)))
        if n_boot
        else {},
        bootstrap={"n_boot": n_boot, "seed": seed},
        per_query=_rows(ranking, columns) if keep_per_query else [],
    )
