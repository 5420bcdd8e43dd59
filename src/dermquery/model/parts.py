"""The three parts of a score, their weights, and the one vector of a case that holds them all.

``s = w_meaning·meaning + w_findings·findings + w_look·look``, where

- **meaning** is equation 9, of which a share ρ may be the agreement of posteriors, ``Σ_y √(p(y | query)·p(y | case))``;
- **findings** is the share of the values asked for that the case has, recorded or by their probability;
- **look** is the cosine of two vectors that know nothing of labels.

Every part is an inner product, so the whole is one: a case is stored once, without weights, and the query's vector
carries all of them. ``PAPER`` is equation 9 alone. Weights that people use have names (:mod:`.presets`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dermquery.model.alignment import LOCAL_WEIGHT, BlockLayout, Vectors
from dermquery.model.heads import VALUES

__all__ = ["PAPER", "PartLayout", "Parts", "Weights", "equation_9"]


_LEAST_WEIGHT = 0.001
"""Of the part that weighs most. Scores are of single precision, and what is much smaller leaves no digit of them."""


class Weights(BaseModel):
    """Weights of a query; any number of them at query time, and nothing is indexed again.

    What is not named is 0, and λ the paper's. :func:`.presets.choose` reads names of parts, and takes λ and ρ from the
    default preset.

    Attributes:
        meaning, findings, look: of the three parts.
        posterior: ρ, share of the meaning that the posteriors have; the rest is equation 9's.
        local_weight: λ of equation 9.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    meaning: float = Field(default=0.0, ge=0, le=100, allow_inf_nan=False)
    findings: float = Field(default=0.0, ge=0, le=100, allow_inf_nan=False)
    look: float = Field(default=0.0, ge=0, le=100, allow_inf_nan=False)
    posterior: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    local_weight: float = Field(default=LOCAL_WEIGHT, ge=0, le=1, allow_inf_nan=False)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if max(self.meaning, self.findings, self.look) < _LEAST_WEIGHT:
            raise ValueError(
                f"every part weighs nothing, so all cases would be alike; give one a weight of {_LEAST_WEIGHT} or more"
            )
        return self


_NOTHING = 1e-6
"""Length of a block, or sum of shares, below which it has no direction."""


def equation_9(local_weight: float) -> Weights:
    """Equation 9 alone, at another λ."""
    return Weights(meaning=1.0, local_weight=local_weight)


PAPER = equation_9(LOCAL_WEIGHT)
"""Equation 9, to the last digit."""


class Parts(NamedTuple):
    """The three numbers beside a hit, each (n, m) or one value; see the module's docstring for their ranges."""

    meaning: Any
    findings: Any
    look: Any


@dataclass(frozen=True)
class PartLayout:
    """Order of the parts in one vector: equation 9's unit blocks, the posterior, the findings, the look.

    Attributes:
        blocks: of equation 9.
        diagnoses: C, length of the posterior; 0 for a model without heads.
        look: m, length of the look; 0 for a model without heads.
    """

    blocks: BlockLayout
    diagnoses: int = 0
    look: int = 0

    @property
    def size(self) -> int:
        """Length of one vector."""
        return self.blocks.size + self.diagnoses + len(VALUES) + self.look

    @property
    def slices(self) -> dict[str, slice]:
        """Place of each part: ``blocks``, ``posterior``, ``findings`` and ``look``."""
        ends = np.cumsum([self.blocks.size, self.diagnoses, len(VALUES), self.look]).tolist()
        starts = [0, *ends[:-1]]
        names = ("blocks", "posterior", "findings", "look")
        return {name: slice(a, b) for name, a, b in zip(names, starts, ends, strict=True)}

    def scales(self, weights: Weights) -> Vectors:
        """What each number of a query's vector is multiplied by, (size,).

        A model without posterior leaves ρ unheeded: its meaning is equation 9.
        """
        share = self._share(weights)
        blocks = np.repeat(self.blocks.block_weights(weights.local_weight), self.blocks.width)
        return np.concatenate(
            [
                np.float32(weights.meaning * (1 - share)) * blocks,
                np.full(self.diagnoses, weights.meaning * share, np.float32),
                np.full(len(VALUES), weights.findings, np.float32),
                np.full(self.look, weights.look, np.float32),
            ]
        )

    def weigh(self, queries: NDArray[Any], weights: Weights = PAPER) -> Vectors:
        """Put the weights on query vectors (n, size), so that a plain inner product with a case gives the score."""
        return np.asarray(self._checked(queries) * self.scales(weights), np.float32)

    def score(self, queries: NDArray[Any], cases: NDArray[Any], weights: Weights = PAPER) -> Vectors:
        """The score between query vectors (n, size) and case vectors (m, size); shape (n, m)."""
        found = self.parts(queries, cases, weights)
        total = weights.meaning * found.meaning + weights.findings * found.findings + weights.look * found.look
        return np.asarray(total, np.float32)

    def parts(self, queries: NDArray[Any], cases: NDArray[Any], weights: Weights = PAPER) -> Parts:
        """Each part by itself, (n, m); the meaning with the shares λ and ρ of ``weights``."""
        asked, held, share = self.split(queries), self.split(cases), self._share(weights)
        meaning = self.blocks.score(asked["blocks"], held["blocks"], weights.local_weight)
        if share:
            meaning = np.float32(1 - share) * meaning + np.float32(share) * (asked["posterior"] @ held["posterior"].T)
        return Parts(meaning, *(asked[name] @ held[name].T for name in ("findings", "look")))

    def speaks(self, query: Vectors) -> Parts:
        """Which parts a query's vector (size,) says anything of; findings only where it asks for one."""
        return Parts(meaning=True, **{name: bool(query[self.slices[name]].any()) for name in ("findings", "look")})

    def split(self, vectors: NDArray[Any]) -> dict[str, Vectors]:
        """The parts of vectors (n, size) by the names of :attr:`slices`, each (n, length)."""
        given = np.asarray(self._checked(vectors), np.float32)
        return {name: given[:, part] for name, part in self.slices.items()}

    def asking(self, cases: NDArray[Any]) -> Vectors:
        """Vectors of cases (n, size) as queries for more like them: they ask for their findings, all at once."""
        parts = self.split(cases)
        return self.joined(parts["blocks"], parts["posterior"], _shares(parts["findings"]), parts["look"])

    def normalised(self, vectors: NDArray[Any], otherwise: NDArray[Any]) -> Vectors:
        """Query vectors (n, size) again with unit blocks, belief and look, and with shares of findings.

        Where nothing is left of a block, ``otherwise`` stands in its place.
        """
        given, other = self.split(vectors), self.split(otherwise)
        found = {
            "blocks": _kept(_unit(given["blocks"], self.blocks.width), other["blocks"], self.blocks.width),
            "look": _kept(_unit(given["look"], self.look), other["look"], self.look),
        }
        belief, findings = (np.maximum(given[name], 0) for name in ("posterior", "findings"))
        found["posterior"] = _kept(_unit(belief, self.diagnoses), other["posterior"], self.diagnoses)
        found["findings"] = _kept(_shares(findings), other["findings"], len(VALUES))
        return self.joined(found["blocks"], found["posterior"], found["findings"], found["look"])

    def joined(self, blocks: Vectors, posterior: Vectors | None, findings: Vectors, look: Vectors | None) -> Vectors:
        """Vectors (n, size) from their parts; what a model without heads has not is left out."""
        n = len(blocks)
        return np.concatenate(
            [
                blocks.reshape(n, self.blocks.size),
                np.zeros((n, self.diagnoses), np.float32) if posterior is None else posterior,
                findings,
                np.zeros((n, self.look), np.float32) if look is None else look,
            ],
            axis=1,
            dtype=np.float32,
        )

    def _share(self, weights: Weights) -> float:
        return weights.posterior if self.diagnoses else 0.0

    def _checked(self, vectors: NDArray[Any]) -> NDArray[Any]:
        array = np.asarray(vectors)
        if array.ndim != 2 or array.shape[1] != self.size:
            raise ValueError(f"vectors of shape {array.shape} do not fit this layout; expected (n, {self.size})")
        return array


def _blocks(vectors: Vectors, width: int) -> Vectors:
    """Vectors (n, blocks·width) as blocks, (n, blocks, width)."""
    return vectors.reshape(len(vectors), vectors.shape[1] // max(width, 1), width)


def _unit(vectors: Vectors, width: int) -> Vectors:
    """Vectors (n, blocks·width) with blocks of unit norm; a block of zeros stays one."""
    blocks = _blocks(vectors, width)
    norms = np.linalg.norm(blocks, axis=-1, keepdims=True)
    return np.asarray(np.where(norms > _NOTHING, blocks / np.maximum(norms, _NOTHING), 0).reshape(vectors.shape))


def _shares(values: Vectors) -> Vectors:
    """Rows (n, m) of numbers of at least 0 that sum to one; a row of zeros stays one."""
    totals = values.sum(axis=1, keepdims=True)
    return np.asarray(np.where(totals > _NOTHING, values / np.maximum(totals, _NOTHING), 0), np.float32)


def _kept(vectors: Vectors, otherwise: Vectors, width: int) -> Vectors:
    """The vectors, with blocks of ``otherwise`` where one is zero."""
    blocks, others = _blocks(vectors, width), _blocks(otherwise, width)
    there = np.any(blocks != 0, axis=-1, keepdims=True)
    return np.asarray(np.where(there, blocks, others).reshape(vectors.shape), np.float32)
