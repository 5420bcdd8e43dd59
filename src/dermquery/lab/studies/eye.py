"""What a backbone sees, without any composed training: siblings found again, and diagnoses told apart.

One lesion in five of a table is kept from every training (:func:`dermquery.lab.experiment.held_out`). Heads are fitted
on the rest; the kept lesions ask each other. *Sibling recall@k*: of the photographs whose lesion has another, the share
that find one among the k best of all kept photographs.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from dermquery.data.case import Case
from dermquery.lab.evaluate.intervals import percentile_interval
from dermquery.lab.evaluate.ranking import BoolArray, rank
from dermquery.lab.evaluate.result_block import evaluate_ranking
from dermquery.lab.train.heads import image_posterior, look_projection
from dermquery.lab.train.pooled import PooledFeatures
from dermquery.model.architecture import VisionConfig

__all__ = ["evaluate_eye", "sibling_recall"]

_CUTOFFS = (1, 5, 10)
_LOOK_BESIDE_MEANING = 0.3


def evaluate_eye(
    backbone: nn.Module, vision: VisionConfig, training: Sequence[Case], kept: Sequence[Case], seed: int = 0
) -> dict[str, Any]:
    """Rows of a backbone on photographs of kept lesions.

    Args:
        backbone: what sees.
        vision: its preprocessing.
        training: cases of other lesions, that the whitening and the regression are fitted on.
        kept: cases of kept lesions, with diagnosis.
        seed: of the bootstrap over lesions.

    Returns:
        ``siblings`` by row (raw cosine, within-lesion whitening) and ``diagnoses`` by row (cosine of raw features,
        posterior, posterior with look): micro and macro mAP, Acc@1, coverage@5; ``images_per_second`` of a first pass.

    Raises:
        ValueError: no case is held out, or every one.
    """
    if not kept or not training:
        raise ValueError(
            f"{len(kept)} cases are held out by their lesions and {len(training)} are not; both must be there: the "
            "table is too small to judge a backbone on"
        )
    features = PooledFeatures(backbone, vision)
    started = time.monotonic()
    asked = features(kept)
    rate = len(kept) / (time.monotonic() - started)
    given = features(training)
    centre, scale = given.mean(axis=0), given.std(axis=0) + 1e-3
    standard, own = (given - centre) / scale, (asked - centre) / scale
    raw = _cosines(own)
    look = _cosines(own @ look_projection(standard, [case.group for case in training]).T)
    chances = image_posterior(standard, training, own)
    meaning = chances @ chances.T
    both = meaning / meaning.std() + _LOOK_BESIDE_MEANING * look / look.std()
    rows = {"frozen cosine": raw, "posterior": meaning, "posterior + .3 look": both}
    return {
        "n": len(kept),
        "images_per_second": round(rate, 1),
        "siblings": {
            name: sibling_recall(scores, kept, seed)
            for name, scores in {"frozen cosine": raw, "within-lesion whitening": look}.items()
        },
        "diagnoses": {name: _judged(scores, kept) for name, scores in rows.items()},
    }


def sibling_recall(scores: NDArray[Any], cases: Sequence[Case], seed: int = 0) -> dict[str, Any]:
    """Recall of siblings among all cases, ``recall@1``, ``@5`` and ``@10``, with 95 % intervals over lesions.

    Args:
        scores: (n, n) similarity of every photograph to every other.
        cases: n photographs; those that are alone on their lesion only stand in the way.
        seed: of the bootstrap.
    """
    counts = Counter(case.group for case in cases)
    asking = np.array([i for i, case in enumerate(cases) if counts[case.group] > 1])
    groups = np.array([case.group for case in cases])
    queries = [cases[i] for i in asking]
    ranking = rank(np.asarray(scores)[asking], queries, cases, exclude=_only_itself)
    codes = np.unique(groups, return_inverse=True)[1]
    same = ranking.take(codes, max(_CUTOFFS)) == codes[asking][:, None]
    _, lesion = np.unique(groups[asking], return_inverse=True)
    drawn = np.random.default_rng(seed).integers(0, lesion.max() + 1, (1000, lesion.max() + 1))
    found: dict[str, Any] = {"n": len(asking), "n_gallery": len(cases)}
    size = np.bincount(lesion)
    for k in _CUTOFFS:
        hit = same[:, :k].any(axis=1)
        by_lesion = np.bincount(lesion, hit)
        found[f"recall@{k}"] = round(float(hit.mean()), 4)
        found[f"interval@{k}"] = percentile_interval(by_lesion[drawn].sum(axis=1) / size[drawn].sum(axis=1))
    return found


def _only_itself(queries: Sequence[Case], gallery: Sequence[Case]) -> BoolArray:
    return np.array([[query.case_id == case.case_id for case in gallery] for query in queries])


def _cosines(vectors: NDArray[Any]) -> NDArray[np.float32]:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(unit @ unit.T, np.float32)


def _judged(scores: NDArray[Any], cases: Sequence[Case]) -> dict[str, float | None]:
    block = evaluate_ranking(rank(scores, cases, cases), protocol="external", n_boot=0, keep_per_query=False)
    return {
        "map": block.micro["map"],
        "macro_map": block.macro["map"],
        "acc@1": block.micro["acc@1"],
        "coverage@5": block.usefulness["coverage@5"],
    }
