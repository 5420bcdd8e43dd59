"""Equations 6 to 9 with loops over single numbers, straight from the paper's text."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float64]  # (d, h, w)


def descriptor(mask: NDArray[np.float64], x: Map) -> list[float]:
    """Equation 6: r_k = pool(M_k ⊙ X), with a mask of sum one and the sum as the pool, brought to unit norm."""
    d, h, w = x.shape
    raw = [sum(mask[i, j] * x[c, i, j] for i in range(h) for j in range(w)) for c in range(d)]
    norm = math.sqrt(sum(v * v for v in raw))
    return [v / norm for v in raw]


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    return dot / (math.sqrt(sum(p * p for p in a)) * math.sqrt(sum(q * q for q in b)))


def local_similarity(query: list[Map], target: list[Map], query_masks: list[Map], target_masks: list[Map]) -> float:
    """Equation 7: mean over k of the descriptors on both sides, cosine, mean over levels."""
    total = 0.0
    for q, t, mq, mt in zip(query, target, query_masks, target_masks, strict=True):
        sides = []
        for x, masks in ((q, mq), (t, mt)):
            rows = [descriptor(mask, x) for mask in masks]
            sides.append([sum(column) / len(rows) for column in zip(*rows, strict=True)])
        total += cosine(*sides)
    return total / len(query)


def global_similarity(query: list[Map], target: list[Map]) -> float:
    """Equation 8: average pooling of the whole map, cosine, mean over levels."""
    total = 0.0
    for q, t in zip(query, target, strict=True):
        pooled = [[float(channel.mean()) for channel in x] for x in (q, t)]
        total += cosine(*pooled)
    return total / len(query)


def score(local: float, global_: float, local_weight: float) -> float:
    """Equation 9."""
    return local_weight * local + (1 - local_weight) * global_
