"""Cross-validation: train on every fold, evaluate its test part under both gallery protocols."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dermquery.data.case import Case
from dermquery.lab.config import Config
from dermquery.lab.data.folds import FoldCases, Folds
from dermquery.lab.evaluate.protocols import Protocol, protocol_sets
from dermquery.lab.evaluate.ranking import rank
from dermquery.lab.evaluate.result_block import EvaluationBlock, evaluate_ranking
from dermquery.lab.experiment.provenance import name_of, provenance, write_json
from dermquery.lab.experiment.summary import curve_points, means_over_folds, paired_tests
from dermquery.lab.experiment.training import train
from dermquery.lab.systems.checklist_regression import ChecklistCosine, ChecklistRegression
from dermquery.lab.systems.composed import ComposedRanker, QueryParts
from dermquery.lab.systems.frozen import FrozenFeatures
from dermquery.lab.systems.ranker import Ranker, Scores
from dermquery.model.encoder import ComposedModel

__all__ = ["LOCAL_WEIGHTS", "crossval"]

PROTOCOLS = (Protocol.SEEN, Protocol.UNSEEN)
PARTS: tuple[QueryParts, ...] = ("composed", "image only", "text only")
LOCAL_WEIGHTS = tuple(step / 10 for step in range(11))
"""Every λ that the curve of a cross-validation has."""
Say = Callable[[str], None]


def crossval(
    cases: Sequence[Case],
    config: Config,
    folds: Folds,
    out: Path,
    *,
    only: Sequence[int] | None = None,
    start: ComposedModel | None = None,
    say: Say = print,
    **trainer: Any,
) -> dict[str, Any]:
    """Train on every fold and evaluate on its test part under both gallery protocols.

    Finished folds are kept in ``out/fold-<i>/blocks.json`` and not computed again.

    Returns:
        ``blocks`` (one for each fold, protocol and system), ``means`` over folds with intervals, paired tests of the
        composed query against the other rows, ``curve`` (the composed query at every :data:`LOCAL_WEIGHTS`, from the
        same encodings), and the provenance. Per-query rows stay in the folds' own files.
    """
    chosen = list(range(folds.n_splits)) if only is None else sorted(set(only))
    per_fold: list[list[dict[str, Any]]] = []
    for number in chosen:
        folder = out / f"fold-{number}"
        facts = {"fold": number, "folds_sha256": folds.sha256, "folds_seed": folds.seed}
        parts = folds.split(cases, number)
        sizes = f"{len(parts.train)} training, {len(parts.validation)} validation, {len(parts.test)} test cases"
        say(f"fold {number}: {sizes}")
        model = train(parts, config, folder, name=f"fold-{number}", facts=facts, start=start, **trainer)
        done = folder / "blocks.json"
        if not done.is_file():
            write_json(done, _fold_blocks(model, cases, folds, number, parts))
        per_fold.append(json.loads(done.read_text(encoding="utf-8")))
        say(f"fold {number}: " + ", ".join(_headline(b) for b in per_fold[-1] if _is_main(b)))
    return {
        **_summary(per_fold),
        "provenance": provenance(
            config=config.model_dump(mode="json"),
            config_sha256=config.sha256,
            seed=config.train.seed,
            started_from=name_of(start),
            folds_sha256=folds.sha256,
            folds_seed=folds.seed,
            folds=chosen,
            n_cases=len(cases),
        ),
    }


def _fold_blocks(
    model: ComposedModel, cases: Sequence[Case], folds: Folds, number: int, parts: FoldCases
) -> list[dict[str, Any]]:
    """One block for each system and protocol, and for the composed query one for each λ besides."""
    composed = ComposedRanker(model)
    rankers: list[Ranker] = [composed.variant(parts=p) for p in PARTS]
    rankers += [composed.variant(described=True), ChecklistCosine(), ChecklistRegression()]
    rankers += [FrozenFeatures(model.config.vision)]
    column = {case.case_id: i for i, case in enumerate(cases)}

    def blocks(scores: Scores, **facts: Any) -> list[dict[str, Any]]:
        found = []
        for protocol in PROTOCOLS:
            queries, gallery = protocol_sets(protocol, folds, number, cases)
            ranking = rank(scores[:, [column[case.case_id] for case in gallery]], queries, gallery)
            block = evaluate_ranking(ranking, protocol=protocol)
            found.append({**facts, "fold": number, **block.model_dump(mode="json")})
        return found

    made = []
    for ranker in rankers:
        if not isinstance(ranker, ComposedRanker):
            ranker.fit(parts.train, parts.validation)
        # Both protocols ask with the test part: encode it once.
        made += blocks(ranker.score(parts.test, cases), system=ranker.name)
    for weight, scores in composed.curve(parts.test, cases, LOCAL_WEIGHTS):
        made += blocks(scores, system="composed", local_weight=weight)
    return made


def _summary(per_fold: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Blocks without their per-query rows, means over folds, paired tests against the composed query, the λ curve."""
    flat = [block for fold in per_fold for block in fold]
    found: dict[tuple[str, str], list[EvaluationBlock]] = {}
    curves: dict[str, dict[float, list[EvaluationBlock]]] = {}
    for block in flat:
        plain = {k: v for k, v in block.items() if k not in ("system", "fold", "local_weight")}
        made = EvaluationBlock.model_validate(plain)
        if "local_weight" in block:
            curves.setdefault(made.protocol, {}).setdefault(block["local_weight"], []).append(made)
        else:
            found.setdefault((made.protocol, block["system"]), []).append(made)
    return {
        "means": means_over_folds(found),
        "tests": paired_tests(found, "composed"),
        "curve": [point for blocks in curves.values() for point in curve_points(blocks)],
        "blocks": [{k: v for k, v in b.items() if k != "per_query"} for b in flat if "local_weight" not in b],
    }


def _is_main(block: dict[str, Any]) -> bool:
    return block["system"] == "composed" and "local_weight" not in block


def _headline(block: dict[str, Any]) -> str:
    micro = block["micro"]
    return f"{block['protocol']} gallery Acc@1 {micro['acc@1']:.3f} mAP {micro['map']:.3f}"
