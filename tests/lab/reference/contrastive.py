"""The supervised contrastive loss with loops, as in Khosla et al. 2020, equation 2 (L_out), with weighted positives."""

from __future__ import annotations

import math
from collections.abc import Sequence


def loss(
    scores: Sequence[Sequence[float]],
    weights: Sequence[Sequence[float]],
    allowed: Sequence[Sequence[bool]],
    temperature: float,
) -> float:
    values = []
    for s, w, a in zip(scores, weights, allowed, strict=True):
        candidates = [j for j in range(len(s)) if a[j]]
        total = sum(w[j] for j in candidates)
        if total == 0:
            continue
        denominator = sum(math.exp(s[j] / temperature) for j in candidates)
        values.append(-sum(w[j] * math.log(math.exp(s[j] / temperature) / denominator) for j in candidates) / total)
    return sum(values) / len(values) if values else 0.0
