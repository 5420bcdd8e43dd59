"""Train systems and ask them on the same folds; only predictions are written, every metric comes from them.

``compare``, ``ablate`` and ``crossval`` differ in their rows alone: systems, changes of our model, or our model with
the parts of its query and the plain rows (:func:`crossval_rows`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dermquery.data.case import Case
from dermquery.lab.config import Config
from dermquery.lab.data.folds import Folds
from dermquery.lab.data.trained_on import check_not_trained_on, fingerprints_of
from dermquery.lab.evaluate.asked import asking_cases
from dermquery.lab.evaluate.predictions import write_predictions
from dermquery.lab.evaluate.protocols import Protocol, protocol_sets
from dermquery.lab.evaluate.ranking import rank
from dermquery.lab.experiment.provenance import provenance, write_json
from dermquery.lab.experiment.registry import Bench, System, system
from dermquery.lab.network.start import Start
from dermquery.lab.systems.composed import ComposedRanker
from dermquery.lab.systems.ranker import AsksWords, Ranker
from dermquery.lab.systems.three_parts import ThreeParts

__all__ = ["ASKED_FILE", "PROTOCOLS", "Plan", "Row", "crossval_rows", "predict"]

PROTOCOLS = (Protocol.SEEN, Protocol.UNSEEN)
ASKED_FILE = "asked.parquet"
"""Answers to every single finding asked by words, over the unseen gallery."""
_TIMED = 20
"""Queries whose answers are timed one by one."""
_CROSSVAL = {
    "composed": "composed",
    "image_only": "image only",
    "text_only": "text only",
    "checklist_cosine": "checklist cosine",
    "checklist_regression": "checklist regression",
    "frozen": "frozen features",
}
"""Rows of a cross-validation: a system's key and its name there."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """A row of a comparison: a system with a configuration, under a name."""

    title: str
    system: System
    config: Config


@dataclass(frozen=True)
class Plan:
    """Data, folds and folders of a comparison.

    Attributes:
        cases: all cases of the table.
        folds: made from them.
        out: folder of the comparison.
        start: taught backbone that every training starts from; the published weights if None.
        others: further training cases of another data set, for the systems that can use them.
        single: there is one training a fold, kept in ``out/fold-<i>``, which refuses any other.
    """

    cases: Sequence[Case]
    folds: Folds
    out: Path
    start: Start | None = None
    others: Sequence[Case] = ()
    single: bool = False

    def folder(self, row: Row, fold: int) -> Path:
        """Folder of a row's predictions on a fold; its name changes with everything that they depend on."""
        digest = row.system.digest(row.config, self.folds.sha256, self.start, self.others)
        return self.out / "predictions" / f"{row.system.key}-{digest}" / f"fold-{fold}"

    def training_folder(self, training: str, config: Config, fold: int) -> Path:
        """Folder of a training, which several systems may share."""
        if self.single:
            return self.out / f"fold-{fold}"
        digest = system(training).digest(config, self.folds.sha256, self.start, self.others)
        return self.out / "trainings" / f"{training}-{digest}" / f"fold-{fold}"

    def bench(self, config: Config, fold: int, trainer: dict[str, Any], shared: dict[Path, Any]) -> Bench:
        """Rankers of one configuration on one fold."""
        facts = self.folds.facts(fold)
        parts = self.folds.split(self.cases, fold)
        return Bench(
            config,
            parts,
            lambda key: self.training_folder(key, config, fold),
            facts,
            self.start,
            self.others,
            trainer,
            shared,
        )


def crossval_rows(config: Config) -> list[Row]:
    """Our model with each part of its query, and the rows that need no training."""
    return [Row(title, system(key), config) for key, title in _CROSSVAL.items()]


def predict(plan: Plan, rows: Sequence[Row], folds: Sequence[int], *, say: Say = print, **trainer: Any) -> None:
    """Train and ask every row on every fold, unless its predictions are there already.

    A row's folder of a fold gets ``seen.parquet``, ``unseen.parquet``, ``asked.parquet`` (of a system that reads words)
    and, last, ``facts.json`` (configuration, times, bytes per case, provenance): a killed run goes on with what is
    missing.

    Args:
        plan: data, folds and folder.
        rows: systems that answer; rows of one configuration share a training and its encodings.
        folds: numbers of the folds.
        say: takes one line of progress.
        **trainer: ``devices``, ``accelerator`` and ``callbacks``.

    Raises:
        ValueError: what trainings start from, or the further cases, have seen test cases.
    """
    known = {} if plan.start is None else {plan.start.name: plan.start.trained_on}
    if plan.others:
        known["the further cases"] = fingerprints_of(plan.others)
    for fold in folds:
        for name, images in known.items():
            check_not_trained_on(name, images, plan.folds.split(plan.cases, fold).test, f"test cases of fold {fold}")
    for fold in folds:
        shared: dict[Path, Any] = {}
        for row in rows:
            done = plan.folder(row, fold) / "facts.json"
            if not done.is_file():
                started = time.monotonic()
                write_json(done, _ask(plan, row, fold, plan.bench(row.config, fold, trainer, shared)))
                say(f"fold {fold}: {row.title} done in {time.monotonic() - started:.0f} s")


def _ask(plan: Plan, row: Row, fold: int, bench: Bench) -> dict[str, Any]:
    started = time.monotonic()
    ranker = row.system.make(bench)
    ranker.fit(bench.parts.train, bench.parts.validation)
    fitted = round(time.monotonic() - started, 1)
    seconds = _timed(row, ranker, *protocol_sets(Protocol.SEEN, plan.folds, fold, plan.cases))
    for protocol in PROTOCOLS:
        queries, gallery = protocol_sets(protocol, plan.folds, fold, plan.cases)
        ranking = rank(ranker.score(queries, gallery), queries, gallery)
        parts = ranker.similarities(queries, gallery) if isinstance(ranker, ComposedRanker | ThreeParts) else None
        write_predictions(plan.folder(row, fold) / f"{protocol}.parquet", ranking, parts)
    if isinstance(ranker, AsksWords) and "text" in row.system.asks:
        asking, gallery = asking_cases(), protocol_sets(Protocol.UNSEEN, plan.folds, fold, plan.cases).gallery
        answered = rank(ranker.spoken().score(asking, gallery), asking, gallery)
        write_predictions(plan.folder(row, fold) / ASKED_FILE, answered)
    return {
        "system": row.system.key,
        "fold": fold,
        "train_seconds": fitted if ranker.train_seconds is None else ranker.train_seconds,
        "seconds_per_query": seconds,
        "bytes_per_case": ranker.bytes_per_case,
        "provenance": provenance(
            config=row.config.model_dump(mode="json"),
            config_sha256=row.config.sha256,
            folds_sha256=plan.folds.sha256,
            folds_seed=plan.folds.seed,
        ),
    }


def _timed(row: Row, ranker: Ranker, queries: Sequence[Case], gallery: Sequence[Case]) -> float:
    """Median seconds from a query's image and text to its ranked gallery, which is encoded before."""
    # Under an id of the row's own: rankers keep the encodings of cases that they know, and rows may share a ranker.
    ids = (f"{case.case_id} timed for {row.title}" for case in queries)
    first, *others = (
        case.model_copy(update={"case_id": own}) for case, own in zip(queries[: _TIMED + 1], ids, strict=False)
    )
    ranker.score([first], gallery)
    taken = []
    for query in others or [first]:
        started = time.perf_counter()
        rank(ranker.score([query], gallery), [query], gallery)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))
