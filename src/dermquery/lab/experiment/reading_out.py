"""Heads, turn and presets for a trained model: what makes its vectors narrow and its scores three parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dermquery.data.case import Case
from dermquery.lab.data.trained_on import fingerprints_of
from dermquery.lab.network.eager import network_of
from dermquery.lab.systems.composed import ComposedRanker
from dermquery.lab.systems.three_parts import BALANCE, POSTERIOR, ThreeParts
from dermquery.lab.train.pooled import PooledFeatures
from dermquery.model.encoder import ComposedModel
from dermquery.model.heads import Floats
from dermquery.model.parts import Weights
from dermquery.model.presets import BALANCED
from dermquery.model.readout import Readout

__all__ = ["fit_readout", "turn_of"]

_WIDTH = 64
_TURNED = 800
"""Cases, at most, whose blocks the turn is taken from."""


def fit_readout(
    model: ComposedModel, cases: Sequence[Case], others: Sequence[Case] = (), width: int = _WIDTH
) -> tuple[Readout, dict[str, Any]]:
    """Fit what an artifact may hold beside its network.

    Args:
        model: that PyTorch runs, without heads of its own.
        cases: that it was trained on, with diagnoses and findings; nothing is fitted on a test case.
        others: further cases, with diagnoses and no findings.
        width: of a turned block; the model's own width or more leaves blocks as they are.

    Returns:
        Heads, turn and presets, with what they were fitted on; and what was measured while they were fitted.
    """
    network = network_of(model)
    composed = ComposedRanker(model)
    ranker = ThreeParts(PooledFeatures(network.backbone, network.config.vision), others, composed=composed)
    ranker.fit(cases, [])
    spreads = ranker.spreads
    weights = [weight / spread for weight, spread in zip(BALANCE, spreads, strict=True)]
    meaning, findings, look = (round(weight / weights[0], 4) for weight in weights)
    balanced = Weights(
        meaning=meaning, findings=findings, look=look, posterior=POSTERIOR, local_weight=model.local_weight
    )
    turn = None if width >= network.config.width else turn_of(model, cases[:_TURNED], width)
    images = fingerprints_of([*cases, *others])
    return Readout(ranker.fitted.heads, turn, {BALANCED: balanced}, images), ranker.fitted.facts


def turn_of(model: ComposedModel, cases: Sequence[Case], width: int) -> Floats:
    """For each of equation 9's blocks the ``width`` directions that hold most of it: (2·L, d, width).

    Of the cases as they are stored and as they ask, for an inner product needs the directions of both.
    """
    both = np.concatenate(
        [model.encode_case([case.image for case in cases]), model.encode_query([case.as_query() for case in cases])]
    )
    blocks = both[:, model.layout.slices["blocks"]].reshape(len(both), -1, model.layout.blocks.width)
    found = []
    for block in blocks.transpose(1, 0, 2):
        _, axes = np.linalg.eigh(block.T @ block)
        found.append(axes[:, ::-1][:, :width])
    return np.asarray(np.stack(found), np.float32)
