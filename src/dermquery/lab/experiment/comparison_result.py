"""From predictions on disk to the result of a comparison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from dermquery.lab.evaluate.curves import RECALLS, precision_recall
from dermquery.lab.evaluate.metrics import mean_known
from dermquery.lab.evaluate.predictions import Predictions, read_predictions
from dermquery.lab.evaluate.protocols import Protocol, protocol_sets
from dermquery.lab.evaluate.ranking import rank
from dermquery.lab.evaluate.result_block import EvaluationBlock, evaluate_ranking
from dermquery.lab.experiment.comparison import PROTOCOLS, Plan, Row
from dermquery.lab.experiment.crossval import LOCAL_WEIGHTS
from dermquery.lab.experiment.provenance import name_of, provenance
from dermquery.lab.experiment.summary import curve_points, means_over_folds, paired_tests

__all__ = ["report"]


def report(plan: Plan, rows: Sequence[Row], folds: Sequence[int]) -> dict[str, Any]:
    """Everything that is published of a comparison, computed from the predictions alone.

    Returns:
        ``reference`` (title of the first row), ``means``, ``tests`` (reference against each other row), ``curve`` (the
        reference over λ, where its score has parts), ``precision_recall`` by protocol and title at ``recalls``,
        ``costs`` (training seconds and seconds per query, the least over the folds, for other work on a machine only
        adds to them; bytes per case, their mean), ``systems`` (what each asks with and holds), and the provenance.
    """
    reference = rows[0].title
    found: dict[tuple[str, str], list[EvaluationBlock]] = {}
    curves: dict[str, dict[float, list[EvaluationBlock]]] = {}
    recalled: dict[tuple[str, str], list[Any]] = {}
    for protocol in PROTOCOLS:
        for row in rows:
            for fold in folds:
                answered = _read(plan, row, fold, protocol)
                key = (str(protocol), row.title)
                found.setdefault(key, []).append(evaluate_ranking(answered.ranking, protocol=protocol))
                recalled.setdefault(key, []).append(precision_recall(answered.ranking.same()))
                if row.title == reference and {"local", "global"} <= answered.parts.keys():
                    for weight, block in _curve(answered, protocol):
                        curves.setdefault(str(protocol), {}).setdefault(weight, []).append(block)
    return {
        "reference": reference,
        "means": means_over_folds(found),
        "tests": paired_tests(found, reference),
        "curve": [point for blocks in curves.values() for point in curve_points(blocks)],
        "recalls": list(RECALLS),
        "precision_recall": [
            {"protocol": protocol, "system": title, "precision": mean_known(np.stack(lines), axis=0).tolist()}
            for (protocol, title), lines in recalled.items()
        ],
        "costs": [_costs(plan, row, folds) for row in rows],
        "systems": [
            {"system": row.title, "key": row.system.key, "asks": row.system.asks, "gallery": row.system.gallery}
            for row in rows
        ],
        "provenance": provenance(
            config=rows[0].config.model_dump(mode="json"),
            config_sha256=rows[0].config.sha256,
            seed=rows[0].config.train.seed,
            started_from=name_of(plan.start),
            folds_sha256=plan.folds.sha256,
            folds_seed=plan.folds.seed,
            folds=list(folds),
            n_cases=len(plan.cases),
        ),
    }


def _read(plan: Plan, row: Row, fold: int, protocol: Protocol) -> Predictions:
    queries, gallery = protocol_sets(protocol, plan.folds, fold, plan.cases)
    return read_predictions(plan.folder(row, fold) / f"{protocol}.parquet", queries, gallery)


def _curve(answered: Predictions, protocol: Protocol) -> list[tuple[float, EvaluationBlock]]:
    """The reference at every λ, from the two parts of its score."""
    ranking, points = answered.ranking, []
    rows, places = np.nonzero(ranking.valid)
    columns = ranking.order[rows, places]
    parts = {name: np.full(ranking.order.shape, -np.inf) for name in ("local", "global")}
    for name, matrix in parts.items():
        matrix[rows, columns] = answered.parts[name][rows, places]
    for weight in LOCAL_WEIGHTS:
        scores = np.where(np.isneginf(parts["local"]), -np.inf, 0.0)
        scores[rows, columns] = weight * parts["local"][rows, columns] + (1 - weight) * parts["global"][rows, columns]
        again = rank(scores, ranking.queries, ranking.gallery)
        points.append((weight, evaluate_ranking(again, protocol=protocol)))
    return points


def _costs(plan: Plan, row: Row, folds: Sequence[int]) -> dict[str, Any]:
    facts = [json.loads((plan.folder(row, f) / "facts.json").read_text(encoding="utf-8")) for f in folds]
    least = {name: min(float(fact[name]) for fact in facts) for name in ("train_seconds", "seconds_per_query")}
    size = float(np.mean([fact["bytes_per_case"] for fact in facts]))
    machines = sorted({(m["processor"], m["threads"]) for m in (f["provenance"]["machine"] for f in facts)})
    known = [f"{name}, {threads} threads" for name, threads in machines]
    return {"system": row.title, **least, "bytes_per_case": size, "machines": known}
