"""Frozen ImageNet features: an image search that has never seen dermoscopy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dermquery.data.case import Case
from dermquery.lab.network.normalise import normalise
from dermquery.lab.network.vision import build_backbone
from dermquery.lab.systems.ranker import Scores
from dermquery.model.architecture import VisionConfig
from dermquery.model.pixels import prepare_pixels

__all__ = ["FrozenFeatures"]


class FrozenFeatures:
    """Cosine of the average-pooled last map of a pre-trained backbone, image only; nothing is learned."""

    name = "frozen features"
    train_seconds: float | None = None

    def __init__(self, config: VisionConfig, batch_size: int = 16) -> None:
        self._config, self._batch_size = config, batch_size
        self._backbone = build_backbone(config).eval()
        self._seen: dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]] = {}

    @property
    def bytes_per_case(self) -> int:
        """Size of one stored vector."""
        channels: tuple[int, ...] = self._backbone.channels  # type: ignore[assignment]
        return channels[-1] * 4

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Nothing to learn."""

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        self._encode([c for c in (*queries, *gallery) if c.case_id not in self._seen])
        left, right = (np.stack([self._seen[c.case_id] for c in cases]) for cases in (queries, gallery))
        return left @ right.T

    @torch.inference_mode()
    def _encode(self, cases: Sequence[Case]) -> None:
        for start in range(0, len(cases), self._batch_size):
            batch = cases[start : start + self._batch_size]
            pixels = torch.from_numpy(np.stack([prepare_pixels(c.image, self._config) for c in batch]))
            pooled = self._backbone(normalise(pixels, self._config))[-1].mean(dim=(2, 3))
            unit = torch.nn.functional.normalize(pooled).numpy()
            self._seen.update(zip((c.case_id for c in batch), unit, strict=True))
