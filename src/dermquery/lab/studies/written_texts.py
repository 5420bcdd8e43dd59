"""Rankings for texts as people write them: in free words, with few findings, or in contradiction to the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermquery.data.case import Case, Query
from dermquery.data.checklist import CRITERIA, render_text
from dermquery.data.findings import read_findings
from dermquery.lab.data.written import WrittenQuery
from dermquery.lab.evaluate.intervals import percentile_interval
from dermquery.lab.evaluate.metrics import accuracy_at, average_precision, mean_known
from dermquery.lab.evaluate.ranking import rank
from dermquery.model.alignment import Vectors
from dermquery.model.encoder import ComposedModel
from dermquery.model.parts import equation_9

__all__ = ["evaluate_texts"]

_PER_TEXT = 5
"""Cases that ask with one written text at most, so that a common meaning does not outweigh the rest."""
_WITH_IMAGE = {"composed": True, "text only": False}


def evaluate_texts(
    model: ComposedModel,
    written: Sequence[WrittenQuery],
    queries: Sequence[Case],
    gallery: Sequence[Case],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Judge reading and ranking of written texts, of partial checklists, and of texts that contradict the image.

    Args:
        model: the model.
        written: texts with their meaning.
        queries: cases that ask; a written text is asked by cases whose findings agree with all of its meaning.
        gallery: cases that are found.
        seed: of the drawn findings, texts and resamples.

    Returns:
        ``reading`` (share of texts read exactly, precision and recall of the values, by kind), ``written`` (mAP with
        the written text and with the plain rendering of its meaning, and the drop), ``partial`` (composed query with
        0 to 7 findings) and ``contradiction``.
    """
    held = model.encode_case([case.image for case in gallery])
    judge = _Judge(model, gallery, held)
    rng = np.random.default_rng(seed)
    return {
        "n_texts": len(written),
        "reading": _reading(written),
        "written": [_written(judge, written, queries, form, rng) for form in _WITH_IMAGE],
        "partial": _partial(judge, queries, rng),
        "contradiction": _contradiction(judge, queries, rng),
    }


class _Judge:
    """AP and Acc@1 of queries, each put by a case, against one gallery that is encoded once."""

    def __init__(self, model: ComposedModel, gallery: Sequence[Case], held: Vectors) -> None:
        self.model, self.gallery, self.held = model, gallery, held

    def relevance(self, asked: Sequence[Query], cases: Sequence[Case]) -> NDArray[np.bool_]:
        vectors = self.model.encode_query(asked)
        scores = self.model.layout.score(vectors, self.held, equation_9(self.model.local_weight))
        return rank(scores, cases, self.gallery).same()

    def ap(self, asked: Sequence[Query], cases: Sequence[Case]) -> NDArray[np.float64]:
        return average_precision(self.relevance(asked, cases))


def _reading(written: Sequence[WrittenQuery]) -> dict[str, Any]:
    """Over all texts and by kind."""
    rows = [(query, read_findings(query.text).checklist) for query in written]

    def scores(of: Sequence[tuple[WrittenQuery, dict[str, str]]]) -> dict[str, Any]:
        right = sum(len(set(q.meaning.items()) & set(got.items())) for q, got in of)
        meant, got_all = sum(len(q.meaning) for q, _ in of), sum(len(got) for _, got in of)
        return {
            "n": len(of),
            "exact": sum(q.meaning == got for q, got in of) / len(of),
            "precision": right / got_all if got_all else None,
            "recall": right / meant if meant else None,
        }

    kinds = dict.fromkeys(query.kind for query in written)
    return {**scores(rows), "by_kind": {kind: scores([row for row in rows if row[0].kind == kind]) for kind in kinds}}


def _written(
    judge: _Judge, written: Sequence[WrittenQuery], queries: Sequence[Case], form: str, rng: np.random.Generator
) -> dict[str, Any]:
    """Mean over texts of the mean AP over the cases that ask with it."""
    found: dict[str, list[tuple[float, float]]] = {}
    for query in (q for q in written if q.meaning):
        askers = [c for c in queries if all(c.checklist.get(name) == value for name, value in query.meaning.items())]
        if not askers or (form == "text only" and not read_findings(query.text).checklist):
            continue
        chosen = [askers[i] for i in sorted(rng.permutation(len(askers))[:_PER_TEXT])]
        images = [c.image if _WITH_IMAGE[form] else None for c in chosen]
        clean = judge.ap([Query(image=i, text=render_text(query.meaning)) for i in images], chosen)
        free = judge.ap([Query(image=i, text=query.text) for i in images], chosen)
        found.setdefault(query.kind, []).append((float(mean_known(clean)), float(mean_known(free))))
    pairs = np.array([pair for rows in found.values() for pair in rows]).reshape(-1, 2)
    drops = pairs[:, 0] - pairs[:, 1]
    resampled = rng.choice(drops, (1000, len(drops))).mean(axis=1) if len(drops) else np.zeros(0)
    low, high = percentile_interval(resampled) if len(drops) else (np.nan, np.nan)
    return {
        "query": form,
        "n_texts": len(pairs),
        "map_plain": float(pairs[:, 0].mean()) if len(pairs) else None,
        "map_written": float(pairs[:, 1].mean()) if len(pairs) else None,
        "drop": float(drops.mean()) if len(drops) else None,
        "drop_interval": [float(low), float(high)] if len(drops) else None,
        "drop_by_kind": {kind: float(np.mean([a - b for a, b in rows])) for kind, rows in found.items()},
    }


def _partial(judge: _Judge, queries: Sequence[Case], rng: np.random.Generator) -> list[dict[str, Any]]:
    """The composed query with k of its own findings, drawn anew for every k."""
    rows = []
    for k in range(len(CRITERIA) + 1):
        asked = []
        for case in queries:
            names = rng.permutation(list(case.checklist))[:k]
            asked.append(Query(image=case.image, checklist={name: case.checklist[name] for name in names}))
        relevance = judge.relevance(asked, queries)
        rows.append(
            {
                "findings": k,
                "map": float(mean_known(average_precision(relevance))),
                "acc@1": float(mean_known(accuracy_at(relevance, 1))),
            }
        )
    return rows


def _contradiction(judge: _Judge, queries: Sequence[Case], rng: np.random.Generator) -> dict[str, Any]:
    """Every image with the findings of a random case of another diagnosis: which of the two does the ranking follow?"""
    others = []
    for case in queries:
        pool = [other for other in queries if other.diagnosis != case.diagnosis and other.checklist]
        if not pool:
            return {"n": 0, "map_of_image": None, "map_of_text": None}
        others.append(pool[int(rng.integers(len(pool)))])
    asked = [Query(image=c.image, checklist=o.checklist) for c, o in zip(queries, others, strict=True)]
    as_text = [c.model_copy(update={"diagnosis": o.diagnosis}) for c, o in zip(queries, others, strict=True)]
    return {
        "n": len(queries),
        "map_of_image": float(mean_known(judge.ap(asked, queries))),
        "map_of_text": float(mean_known(judge.ap(asked, as_text))),
    }
