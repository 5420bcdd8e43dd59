"""A small deterministic encoder with the interface of the composed model, so that these tests need no weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from dermquery.data.case import Query
from dermquery.data.image import load_image
from dermquery.model.alignment import BlockLayout, Vectors

_SIDE = 8


class ProjectionEncoder:
    """Seeded random projections of downscaled pixels and of hashed words, each block normalised."""

    def __init__(self, seed: int = 0, width: int = 6, levels: tuple[str, ...] = ("low", "middle", "high")) -> None:
        self.name = f"projection-{seed}"
        self.layout = BlockLayout(levels, width)
        self.artifact_hash = hashlib.sha256(f"{seed} {width} {levels}".encode()).hexdigest()
        self.seed = seed
        self.encoded = 0
        n_pixels = _SIDE * _SIDE * 3
        self._pixels = np.random.default_rng(seed).normal(size=(n_pixels, self.layout.size))

    def encode_case(self, images: Sequence[Image.Image]) -> Vectors:
        self.encoded += len(images)
        return self._unit(np.stack([self._of_image(image) for image in images]))

    def encode_query(self, queries: Sequence[Query]) -> Vectors:
        raw = np.zeros((len(queries), self.layout.size))
        for row, query in zip(raw, queries, strict=True):
            if query.image is not None:
                row += self._of_image(load_image(query.image))
            if query.sentence:
                row += 0.2 * self._of_text(query.sentence)
        return self._unit(raw)

    def _of_image(self, image: Image.Image) -> np.ndarray:
        small = np.asarray(image.convert("RGB").resize((_SIDE, _SIDE)), dtype=np.float64).ravel()
        return np.asarray((small / 255 - 0.5) @ self._pixels)

    def _of_text(self, text: str) -> np.ndarray:
        seeds = [int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") for word in text.lower().split()]
        drawn = [np.random.default_rng((self.seed, s)).normal(size=self.layout.size) for s in seeds]
        return np.asarray(np.sum(drawn, axis=0))

    def _unit(self, raw: np.ndarray) -> Vectors:
        blocks = raw.reshape(len(raw), -1, self.layout.width)
        unit = blocks / np.linalg.norm(blocks, axis=-1, keepdims=True)
        return np.asarray(unit.reshape(len(raw), -1), dtype=np.float32)
