"""Experiments: one training, a cross-validation, an evaluation of a model. Every number leaves here as JSON."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import dermquery
from dermquery.config import Config
from dermquery.data.case import Case
from dermquery.data.files import replacing
from dermquery.data.folds import FoldCases, Folds
from dermquery.evaluate.combine import combine_folds, compare_systems
from dermquery.evaluate.intervals import PairedTest, holm
from dermquery.evaluate.protocols import Protocol, protocol_sets
from dermquery.evaluate.ranking import rank
from dermquery.evaluate.report import EvaluationBlock, evaluate_ranking
from dermquery.model.artifact import load_model, save_model
from dermquery.model.card import model_card
from dermquery.model.composed import ComposedModel
from dermquery.rankers.base import Ranker
from dermquery.rankers.checklist import ChecklistCosine, ChecklistRegression
from dermquery.rankers.composed import ComposedRanker, QueryParts
from dermquery.rankers.frozen import FrozenFeatures
from dermquery.train.fit import fit

__all__ = ["crossval", "evaluate_model", "provenance", "train", "write_json"]

PROTOCOLS = (Protocol.SEEN, Protocol.UNSEEN)
PARTS: tuple[QueryParts, ...] = ("composed", "image only", "text only")
Say = Callable[[str], None]


def provenance(**facts: Any) -> dict[str, Any]:
    """What makes a number traceable: version, commit, time, machine, and the given facts."""
    return {
        "dermquery": dermquery.__version__,
        "commit": _commit(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        **facts,
    }


def train(
    parts: FoldCases,
    config: Config,
    out: Path,
    *,
    name: str,
    facts: dict[str, Any] | None = None,
    start: ComposedModel | None = None,
    half: bool = False,
    reference_text: bool = False,
    **trainer: Any,
) -> ComposedModel:
    """Train on one split and write the artifact to ``out/model``; an artifact that is there already is loaded.

    Args:
        parts: training and validation cases; the test part is not looked at.
        config: model and training.
        out: folder of the run; a killed run goes on from its last epoch.
        name: of the artifact.
        facts: written into the provenance (fold, hash of the folds, ...).
        start: model whose backbone the training starts from.
        half: store float16 weights.
        reference_text: leave out a frozen text encoder that a package provides.
        trainer: ``devices``, ``accelerator`` and ``callbacks``, passed on.

    Raises:
        ValueError: ``out`` holds a run of another configuration or of other cases.
    """
    identity = {"config": config.sha256, "cases": _ids_hash(parts)}
    if start is not None:
        identity["start"] = start.artifact_hash or start.name
    _same_run(out, identity)
    artifact = out / "model"
    if (artifact / "artifact.json").is_file():
        return load_model(artifact)
    started = time.monotonic()
    run = fit(parts.train, parts.validation, config.model, config.train, out, name=name, start=start, **trainer)
    run.model.provenance = provenance(
        **(facts or {}),
        config=config.model_dump(mode="json"),
        config_sha256=config.sha256,
        cases={"train": len(parts.train), "validation": len(parts.validation), "sha256": identity["cases"]},
        started_from=_name_of(start),
        best={"epoch": run.best_epoch, "validation_map": run.best_score, "epochs": run.epochs},
        parameters=run.parameters,
        seconds=round(time.monotonic() - started, 1),
    )
    save_model(run.model, artifact, card=model_card(run.model), half=half, reference_text=reference_text)
    return load_model(artifact)


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
        composed query against the other rows, and the provenance. Per-query rows stay in the folds' own files.
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
        say(f"fold {number}: " + ", ".join(_headline(b) for b in per_fold[-1] if b["system"] == "composed"))
    return {
        **_summary(per_fold),
        "provenance": provenance(
            config=config.model_dump(mode="json"),
            config_sha256=config.sha256,
            seed=config.train.seed,
            started_from=_name_of(start),
            folds_sha256=folds.sha256,
            folds_seed=folds.seed,
            folds=chosen,
            n_cases=len(cases),
        ),
    }


def evaluate_model(
    model: ComposedModel,
    queries: Sequence[Case],
    gallery: Sequence[Case],
    protocol: Protocol | str,
    *,
    parts: QueryParts = "composed",
    local_weight: float | None = None,
) -> EvaluationBlock:
    """One protocol of one model; a query never retrieves its own case or lesion."""
    ranker = ComposedRanker(model, parts, local_weight)
    return evaluate_ranking(rank(ranker.score(queries, gallery), queries, gallery), protocol=protocol)


def _fold_blocks(
    model: ComposedModel, cases: Sequence[Case], folds: Folds, number: int, parts: FoldCases
) -> list[dict[str, Any]]:
    composed = ComposedRanker(model)
    rankers: list[Ranker] = [composed.with_parts(p) for p in PARTS]
    rankers += [ChecklistCosine(), ChecklistRegression(), FrozenFeatures(model.network.config.vision)]
    column = {case.case_id: i for i, case in enumerate(cases)}
    blocks = []
    for ranker in rankers:
        if not isinstance(ranker, ComposedRanker):
            ranker.fit(parts.train, parts.validation)
        scores = ranker.score(parts.test, cases)  # both protocols ask with the test part: encode it once
        for protocol in PROTOCOLS:
            queries, gallery = protocol_sets(protocol, folds, number, cases)
            ranking = rank(scores[:, [column[case.case_id] for case in gallery]], queries, gallery)
            block = evaluate_ranking(ranking, protocol=protocol)
            blocks.append({"system": ranker.name, "fold": number, **block.model_dump(mode="json")})
    return blocks


def _summary(per_fold: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Blocks without their per-query rows, means over folds, and paired tests against the composed query."""
    flat = [block for fold in per_fold for block in fold]
    found: dict[tuple[str, str], list[EvaluationBlock]] = {}
    for block in flat:
        plain = {k: v for k, v in block.items() if k not in ("system", "fold")}
        found.setdefault((block["protocol"], block["system"]), []).append(EvaluationBlock.model_validate(plain))
    means = [{"system": system, **combine_folds(blocks)} for (_, system), blocks in found.items()]
    tests = [
        {"protocol": protocol, "against": system, "metric": metric}
        | _fields(compare_systems(found[protocol, "composed"], blocks, metric))
        for (protocol, system), blocks in found.items()
        for metric in ("map", "acc@1")
        if system != "composed"
    ]
    for test, corrected in zip(tests, holm([test["p_value"] for test in tests]), strict=True):
        test["p_holm"] = corrected
    return {
        "means": means,
        "tests": tests,
        "blocks": [{k: v for k, v in block.items() if k != "per_query"} for block in flat],
    }


def _name_of(model: ComposedModel | None) -> dict[str, str] | None:
    return None if model is None else {"name": model.name, "artifact": model.artifact_hash}


def _fields(result: PairedTest) -> dict[str, Any]:
    return {**vars(result), "interval": list(result.interval)}


def _headline(block: dict[str, Any]) -> str:
    micro = block["micro"]
    return f"{block['protocol']} gallery Acc@1 {micro['acc@1']:.3f} mAP {micro['map']:.3f}"


def _same_run(out: Path, identity: dict[str, str]) -> None:
    """Refuse to mix two runs in one folder; remember which one it is."""
    path = out / "run.json"
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
        changed = sorted(key for key in {*identity, *known} if known.get(key) != identity.get(key))
        if changed:
            raise ValueError(
                f"{out} holds a run with another {' and other '.join(changed)}; choose another --out or remove it"
            )
        return
    write_json(path, identity)


def _ids_hash(parts: FoldCases) -> str:
    listed = [sorted((c.case_id, str(c.diagnosis)) for c in part) for part in (parts.train, parts.validation)]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write whole or not at all, so that a killed run leaves no half file."""
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def _commit() -> str | None:
    """Commit of the checkout that this package runs from, marked if files were changed since; None if installed."""
    folder = Path(__file__).resolve().parent
    try:
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", ".")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
