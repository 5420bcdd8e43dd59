"""A small deterministic encoder with the interface of the composed model, so that these tests need no weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from dermquery.data.case import Query
from dermquery.data.image import load_image
from dermquery.model.alignment import BlockLayout, Vectors
from dermquery.model.heads import VALUES, Floats, asked_values, recorded_values
from dermquery.model.parts import PartLayout
from dermquery.model.presets import presets_of
from dermquery.model.trained_on import NOTHING

Checklists = Sequence[Mapping[str, str]] | None
"""Recorded findings of cases."""
_SIDE = 8


class ProjectionEncoder:
    """Seeded random projections of downscaled pixels and of hashed words, each block normalised.

    ``heads`` gives it a belief in three diagnoses, probabilities of findings and a look.
    """

    def __init__(
        self,
        seed: int = 0,
        width: int = 6,
        levels: tuple[str, ...] = ("low", "middle", "high"),
        *,
        heads: bool = False,
    ) -> None:
        self.name = f"projection-{seed}"
        self.layout = PartLayout(BlockLayout(levels, width), *((3, 5) if heads else ()))
        self.presets = presets_of(self.layout, {})
        named = f"{seed} {width} {levels}" + (" heads" if heads else "")
        self.artifact_hash = hashlib.sha256(named.encode()).hexdigest()
        self.seed = seed
        self.trained_on = NOTHING
        self.encoded = 0
        n_pixels = _SIDE * _SIDE * 3
        self._pixels = np.random.default_rng(seed).normal(size=(n_pixels, self.layout.blocks.size))
        read = 3 + len(VALUES) + 5
        self._read = np.random.default_rng([seed, 1]).normal(size=(n_pixels, read)) if heads else None

    def encode_case(self, images: Sequence[Image.Image], checklists: Checklists = None) -> Vectors:
        self.encoded += len(images)
        blocks = self._unit(np.stack([self._of_image(image) for image in images]))
        return self._case(blocks, images, [{}] * len(images) if checklists is None else checklists)

    def encode_query(self, queries: Sequence[Query]) -> Vectors:
        belief = look = None
        if self._read is not None:
            belief = np.full((len(queries), 3), 3**-0.5, np.float32)
            look = np.zeros((len(queries), 5), np.float32)
            for row, query in enumerate(queries):
                if query.image is not None:
                    (belief[row],), _, (look[row],) = self._seen([load_image(query.image)])
        return self.layout.joined(self._composed(queries), belief, asked_values([q.terms for q in queries]), look)

    def _case(self, blocks: Vectors, images: Sequence[Image.Image], checklists: Sequence[Mapping[str, str]]) -> Vectors:
        if self._read is None:
            return self.layout.joined(blocks, None, recorded_values(checklists), None)
        belief, findings, look = self._seen(images)
        return self.layout.joined(blocks, belief, recorded_values(checklists, findings), look)

    def _composed(self, queries: Sequence[Query]) -> Vectors:
        raw = np.zeros((len(queries), self.layout.blocks.size))
        for row, query in zip(raw, queries, strict=True):
            if query.image is not None:
                row += self._of_image(load_image(query.image))
            if query.sentence:
                row += 0.2 * self._of_text(query.sentence)
        return self._unit(raw)

    def _seen(self, images: Sequence[Image.Image]) -> tuple[Floats, Floats, Floats]:
        assert self._read is not None
        raw = (np.stack([_small(image) for image in images]) @ self._read / 4).astype(np.float32)
        diagnoses, values, look = np.split(raw, [3, 3 + len(VALUES)], axis=1)
        posterior = np.exp(diagnoses)
        belief = np.sqrt(posterior / posterior.sum(axis=1, keepdims=True))
        look /= np.linalg.norm(look, axis=1, keepdims=True)
        return belief, np.asarray(1 / (1 + np.exp(-values)), np.float32), look

    def _of_image(self, image: Image.Image) -> np.ndarray:
        return np.asarray(_small(image) @ self._pixels)

    def _of_text(self, text: str) -> np.ndarray:
        seeds = [int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") for word in text.lower().split()]
        drawn = [np.random.default_rng((self.seed, s)).normal(size=self.layout.blocks.size) for s in seeds]
        return np.asarray(np.sum(drawn, axis=0))

    def _unit(self, raw: np.ndarray) -> Vectors:
        blocks = raw.reshape(len(raw), -1, self.layout.blocks.width)
        unit = blocks / np.linalg.norm(blocks, axis=-1, keepdims=True)
        return np.asarray(unit.reshape(len(raw), -1), dtype=np.float32)


def _small(image: Image.Image) -> np.ndarray:
    small = np.asarray(image.convert("RGB").resize((_SIDE, _SIDE)), dtype=np.float64).ravel()
    return small / 255 - 0.5
