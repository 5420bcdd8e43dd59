"""Compute the result of a comparison from its predictions on disk.

``result.json`` holds what the tables and figures show; every value of every query is in ``per_query.parquet``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from typing import Any

import numpy as np

from dermquery.lab.evaluate.asked import asked_precision, asking_cases
from dermquery.lab.evaluate.combine import combine_folds, compare_coverage, compare_systems
from dermquery.lab.evaluate.curves import RECALLS, precision_recall
from dermquery.lab.evaluate.intervals import holm
from dermquery.lab.evaluate.metrics import mean_known
from dermquery.lab.evaluate.per_query import QUERY_USEFULNESS
from dermquery.lab.evaluate.predictions import Predictions, read_predictions, write_rows
from dermquery.lab.evaluate.protocols import Protocol, protocol_sets
from dermquery.lab.evaluate.ranking import Ranking, rank
from dermquery.lab.evaluate.result_block import EvaluationBlock, evaluate_ranking
from dermquery.lab.experiment.comparison import ASKED_FILE, PROTOCOLS, Plan, Row
from dermquery.lab.experiment.provenance import name_of, provenance

__all__ = ["LOCAL_WEIGHTS", "paired_tests", "published", "published_point", "report"]

LOCAL_WEIGHTS = tuple(step / 10 for step in range(11))
"""Every λ of the curve."""
_TESTED = ("map", "macro_map", "acc@1")
_TESTED_UNSEEN = "checklist_agreement@5"
_DEPTH = 5
"""Of the coverage that is tested."""
_SHOWN = (*(f"acc@{k}" for k in range(1, 11)), "acc_mean", "map")
_SHOWN_OF_MACRO = ("acc@1", "map")
_SHOWN_OF_CLASS = ("n", "n_without_relevant", "map")
_SHOWN_OF_CURVE = ("acc@1", "map", "macro_map")
Found = Mapping[tuple[str, str], Sequence[EvaluationBlock]]
"""(protocol, system) to its blocks, one for each fold, with per-query rows."""
Answers = Mapping[str, Sequence[Ranking]]
"""A system to its rankings of the unseen galleries, one for each fold."""


def report(plan: Plan, rows: Sequence[Row], folds: Sequence[int]) -> dict[str, Any]:
    """Compute every metric of a comparison from its predictions, and write ``per_query.parquet`` into its folder.

    Returns:
        ``reference`` (title of the first row), ``means``, ``tests`` (reference against each other row), ``curve`` (the
        reference over λ, where its score has parts), ``asked`` (asked-finding P@10 of the systems that read words, over
        all folds' unseen galleries merged), ``precision_recall`` by protocol and title at ``recalls``,
        ``costs`` (training seconds and seconds per query, the least over the folds, for other work on a machine only
        adds to them; bytes per case, their mean), ``systems`` (what each asks with and holds), and the provenance.
    """
    reference = rows[0].title
    found: dict[tuple[str, str], list[EvaluationBlock]] = {}
    curves: dict[tuple[str, float], list[EvaluationBlock]] = {}
    recalled: dict[tuple[str, str], list[Any]] = {}
    unseen: dict[str, list[Ranking]] = {}
    for protocol in PROTOCOLS:
        for row in rows:
            for fold in folds:
                answered = _read(plan, row, fold, protocol)
                key = (str(protocol), row.title)
                found.setdefault(key, []).append(_block(answered.ranking, protocol))
                recalled.setdefault(key, []).append(precision_recall(answered.ranking.same()))
                if protocol is Protocol.UNSEEN:
                    unseen.setdefault(row.title, []).append(answered.ranking)
                if row.title == reference and {"local", "global"} <= answered.parts.keys():
                    for weight, ranking in _over_weights(answered):
                        curves.setdefault((str(protocol), weight), []).append(_block(ranking, protocol))
    write_rows(plan.out / "per_query.parquet", _per_query(found, folds))
    return {
        "reference": reference,
        "means": [{"system": title, **published(combine_folds(blocks))} for (_, title), blocks in found.items()],
        "tests": paired_tests(found, unseen, reference),
        "curve": [
            {"local_weight": weight, **published_point(combine_folds(blocks))} for (_, weight), blocks in curves.items()
        ],
        "asked": _asked(plan, rows, folds),
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
        "provenance": _origin(plan, rows[0], folds),
    }


def published(mean: Mapping[str, Any]) -> dict[str, Any]:
    """What tables and figures show of :func:`combine_folds`; all else follows from the values of every query."""
    classes = [f"map[{label}]" for label in mean["per_class"]]
    shown = (*_SHOWN, *(f"macro_{metric}" for metric in _SHOWN_OF_MACRO), *classes, *QUERY_USEFULNESS)
    names = {"micro": _SHOWN, "macro": _SHOWN_OF_MACRO, "chance": _SHOWN, "chance_macro": _SHOWN_OF_MACRO}
    names |= {"intervals": shown}

    def kept(part: Mapping[str, Any]) -> dict[str, Any]:
        metrics = {name: _some(part[name], chosen) for name, chosen in names.items() if name in part}
        by_class = {
            name: {label: _some(values, _SHOWN_OF_CLASS) for label, values in part[name].items()}
            for name in ("per_class", "chance_per_class")
            if name in part
        }
        return {**part, **metrics, **by_class}

    plain = {**kept(mean), "sd": kept(mean["sd"])}
    return {name: value for name, value in plain.items() if name not in ("bootstrap", "usefulness_n")}


def published_point(mean: Mapping[str, Any]) -> dict[str, Any]:
    """What tables and figures show of one λ."""
    whole = {name: mean[name] for name in ("protocol", "n", "n_folds", "usefulness")}
    return whole | {name: _some(mean[name], _SHOWN_OF_CURVE) for name in ("micro", "macro", "intervals")}


def paired_tests(found: Found, unseen: Answers, reference: str) -> list[dict[str, Any]]:
    """Test the reference against every other system; ``p_holm`` is corrected over all tests.

    For mAP, macro mAP and Acc@1; on the unseen gallery also for checklist agreement, where there are checklists, and
    for coverage, whose test has no interval (None).
    """
    tests = []
    for (protocol, system), blocks in found.items():
        if system == reference:
            continue
        own = found[protocol, reference]
        tested = {metric: compare_systems(own, blocks, metric) for metric in _TESTED}
        if protocol == Protocol.UNSEEN:
            if all(part[0].usefulness[_TESTED_UNSEEN] is not None for part in (own, blocks)):
                tested[_TESTED_UNSEEN] = compare_systems(own, blocks, _TESTED_UNSEEN)
            tested[f"coverage@{_DEPTH}"] = compare_coverage(unseen[reference], unseen[system], _DEPTH)
        tests += [
            {"protocol": protocol, "against": system, "metric": metric}
            | vars(test)
            | {"interval": [None if isnan(end) else end for end in test.interval]}
            for metric, test in tested.items()
        ]
    for test, corrected in zip(tests, holm([test["p_value"] for test in tests]), strict=True):
        test["p_holm"] = corrected
    return tests


def _some(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}


def _block(ranking: Ranking, protocol: Protocol) -> EvaluationBlock:
    # Without intervals of its own: those that are published are of the mean over folds.
    return evaluate_ranking(ranking, protocol=protocol, n_boot=0)


def _asked(plan: Plan, rows: Sequence[Row], folds: Sequence[int]) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        paths = [plan.folder(row, fold) / ASKED_FILE for fold in folds]
        if all(path.is_file() for path in paths):
            asking = asking_cases()
            galleries = [protocol_sets(Protocol.UNSEEN, plan.folds, fold, plan.cases).gallery for fold in folds]
            parts = [read_predictions(p, asking, g).ranking for p, g in zip(paths, galleries, strict=True)]
            found.append({"system": row.title, **asked_precision(parts)})
    return found


def _per_query(found: Found, folds: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"protocol": protocol, "system": system, "fold": fold, **row}
        for (protocol, system), blocks in found.items()
        for fold, block in zip(folds, blocks, strict=True)
        for row in block.per_query
    ]


def _origin(plan: Plan, row: Row, folds: Sequence[int]) -> dict[str, Any]:
    return provenance(
        config=row.config.model_dump(mode="json"),
        config_sha256=row.config.sha256,
        seed=row.config.train.seed,
        started_from=name_of(plan.start),
        folds_sha256=plan.folds.sha256,
        folds_seed=plan.folds.seed,
        folds=list(folds),
        n_cases=len(plan.cases),
    )


def _read(plan: Plan, row: Row, fold: int, protocol: Protocol) -> Predictions:
    queries, gallery = protocol_sets(protocol, plan.folds, fold, plan.cases)
    return read_predictions(plan.folder(row, fold) / f"{protocol}.parquet", queries, gallery)


def _over_weights(answered: Predictions) -> Iterator[tuple[float, Ranking]]:
    """The ranking at every λ, from the two parts of the score."""
    ranking = answered.ranking
    rows, places = np.nonzero(ranking.valid)
    columns = ranking.order[rows, places]
    local, whole = (answered.parts[name][rows, places] for name in ("local", "global"))
    scores = np.full(ranking.order.shape, -np.inf, np.float32)
    for weight in LOCAL_WEIGHTS:
        scores[rows, columns] = weight * local + (1 - weight) * whole
        yield weight, rank(scores, ranking.queries, ranking.gallery)


def _costs(plan: Plan, row: Row, folds: Sequence[int]) -> dict[str, Any]:
    facts = [json.loads((plan.folder(row, f) / "facts.json").read_text(encoding="utf-8")) for f in folds]
    least = {name: min(float(fact[name]) for fact in facts) for name in ("train_seconds", "seconds_per_query")}
    size = float(np.mean([fact["bytes_per_case"] for fact in facts]))
    machines = sorted({(m["processor"], m["threads"]) for m in (f["provenance"]["machine"] for f in facts)})
    known = [f"{name}, {threads} threads" for name, threads in machines]
    return {"system": row.title, **least, "bytes_per_case": size, "machines": known}
