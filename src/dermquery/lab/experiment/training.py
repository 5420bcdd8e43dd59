"""Train one model on one split and write its artifact, with the provenance."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dermquery.data.case import Case
from dermquery.lab.config import Config
from dermquery.lab.data.folds import FoldCases
from dermquery.lab.data.trained_on import check_not_trained_on, fingerprints_of
from dermquery.lab.experiment.provenance import name_of, provenance, write_json
from dermquery.lab.experiment.teaching import taught_components
from dermquery.lab.network.eager import load_trained, torch_model
from dermquery.lab.network.model_card import model_card
from dermquery.lab.network.network import count_parameters
from dermquery.lab.network.pack import save_model
from dermquery.lab.network.start import Start
from dermquery.lab.train.fit import fit_composed
from dermquery.model.artifact import Storage
from dermquery.model.encoder import ComposedModel

__all__ = ["nothing_trained", "train"]


def train(
    parts: FoldCases,
    config: Config,
    out: Path,
    *,
    name: str,
    facts: dict[str, Any] | None = None,
    start: Start | None = None,
    others: Sequence[Case] = (),
    storage: Storage = "float32",
    reference_text: bool = False,
    **trainer: Any,
) -> ComposedModel:
    """Train on one split and write the artifact to ``out/model``; an artifact that is there already is loaded.

    It encodes by PyTorch, as the baselines do that it is compared with.

    Args:
        parts: training and validation cases; the test part is not looked at.
        config: model and training.
        out: folder of the run; a killed run goes on from its last epoch.
        name: of the artifact.
        facts: written into the provenance (fold, hash of the folds, ...).
        start: model whose backbone the training starts from.
        others: cases of a further data set, beside which every batch is trained, while the teacher goes on teaching the
            backbone by ``config.teach``.
        storage: of the weights.
        reference_text: leave out a frozen text encoder that a package provides.
        trainer: ``devices``, ``accelerator`` and ``callbacks``, passed on.

    Raises:
        ValueError: ``out`` holds a run of another configuration or of other cases, or a test case is known to what it
            starts from, or to the further cases.
    """
    identity = {"config": config.sha256, "cases": _hash_of(parts.train, parts.validation)}
    if start is not None:
        identity["start"] = start.artifact_hash or start.name
    if others:
        identity |= {"teaching": config.teach.model_dump_json(), "further cases": _hash_of(others)}
    _same_run(out, identity)
    artifact = out / "model"
    if (artifact / "artifact.json").is_file():
        return load_trained(artifact)
    started = time.monotonic()
    earlier = () if start is None else (start.trained_on,)
    further = fingerprints_of(others)
    check_not_trained_on("the further cases", further, parts.test, "test cases of the fold")
    seen = fingerprints_of([*parts.train, *parts.validation], *earlier, further)
    if start is not None:
        check_not_trained_on(start.name, start.trained_on, parts.test, "test cases of the fold")
    everyone = (parts.train, parts.validation, others)
    taught = (taught_components(everyone, config.teach), config.teach) if others else None
    run = fit_composed(
        parts.train, parts.validation, config.model, config.train, out,
        start=start, beside=others, taught=taught, **trainer,
    )  # fmt: skip
    model = torch_model(run.module.network, name=name, labels=run.module.labels)
    model.trained_on = seen
    model.provenance = provenance(
        **(facts or {}),
        config=config.model_dump(mode="json"),
        config_sha256=config.sha256,
        cases={
            "train": len(parts.train),
            "validation": len(parts.validation),
            "further": len(others),
            "sha256": identity["cases"],
        },
        started_from=name_of(start),
        best={"epoch": run.best_epoch, "validation_map": run.best_score, "epochs": run.epochs},
        parameters=count_parameters(run.module.network),
        seconds=round(time.monotonic() - started, 1),
    )
    save_model(model, artifact, card=model_card(model), storage=storage, reference_text=reference_text)
    return load_trained(artifact)


def nothing_trained(out: Path) -> bool:
    """Whether a folder of a run holds no epoch and no model, at any depth: one that failed before its first epoch."""
    made = (path for name in ("*.ckpt", "artifact.json", "*.safetensors") for path in out.rglob(name))
    return next(made, None) is None


def _same_run(out: Path, identity: dict[str, str]) -> None:
    """Refuse to mix two runs in one folder; remember which one it is. One that trained nothing leaves it free."""
    path = out / "run.json"
    if path.is_file() and not nothing_trained(out):
        known = json.loads(path.read_text(encoding="utf-8"))
        changed = sorted(key for key in {*identity, *known} if known.get(key) != identity.get(key))
        if changed:
            raise ValueError(
                f"{out} holds a run with another {' and other '.join(changed)}; choose another --out or remove it"
            )
        return
    write_json(path, identity)


def _hash_of(*parts: Sequence[Case]) -> str:
    listed = [sorted((c.case_id, str(c.diagnosis)) for c in part) for part in parts]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
