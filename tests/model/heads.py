"""Heads of random numbers, for tests that need some and no fitted ones."""

from __future__ import annotations

import numpy as np

from dermquery.model.heads import VALUES, Heads
from dermquery.model.parts import Weights
from dermquery.model.readout import Readout

DIAGNOSES = ("bkl", "mel", "nv")


def random_readout(features: int, blocks: int, width: int, *, turned: int | None = None, seed: int = 0) -> Readout:
    """Heads on so many features, with a turn of the blocks to ``turned`` numbers if that is wanted."""
    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    n = len(DIAGNOSES)
    heads = Heads(
        DIAGNOSES,
        centre=drawn(features),
        scale=np.full(features, 2, np.float32),
        diagnosis=drawn(n, features + 1),
        checklist=drawn(n, len(VALUES) + 1),
        prior=np.full(n, 1 / n, np.float32),
        findings=drawn(len(VALUES), features + 1),
        look=drawn(6, features),
    )
    turn = None
    if turned is not None:
        turn = np.stack([np.linalg.qr(drawn(width, width))[0][:, :turned] for _ in range(blocks)])
    return Readout(heads, turn, {"balanced": Weights(meaning=1, findings=0.5, look=0.3, posterior=0.4)})
