"""The three parts of a score, their weights, and the one vector of a case that holds them all.

``s = w_meaning·meaning + w_findings·findings + w_look·look``, where

- **meaning** is equation 9, of which a share ρ may be the agreement of posteriors, ``Σ_y √(p(y | query)·p(y | case))``;
- **findings** is the share of the values asked for that the case has, recorded or by their probability;
- **look** is the cosine of two vectors that know nothing of labels.

Every part is an inner product, so the whole is one: a case is stored once, without weights, and the query's vector
carries all of them. ``PAPER`` is equation 9 alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from dermquery.model.alignment import LOCAL_WEIGHT, BlockLayout, Vectors
from dermquery.model.heads import VALUES

__all__ = ["PAPER", "PartLayout", "Parts", "Weights"]


class Weights(BaseModel):
    """Weights of a query; any number of them at query time, and nothing is indexed again.

    Attributes:
        meaning, findings, look: of the three parts.
        posterior: ρ, share of the meaning that the posteriors have; the rest is equation 9's.
        local_weight: λ of equation 9.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    meaning: float = Field(default=1.0, ge=0, le=100, allow_inf_nan=False)
    findings: float = Field(default=0.0, ge=0, le=100, allow_inf_nan=False)
    look: float = Field(default=0.0, ge=0, le=100, allow_inf_nan=False)
    posterior: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    local_weight: float = Field(default=LOCAL_WEIGHT, ge=0, le=1, allow_inf_nan=False)


PAPER = Weights()
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

    def weigh(self, queries: NDArray[Any], weights: Weights) -> Vectors:
        """Put the weights on query vectors (n, size), so that a plain inner product with a case gives the score.

        A model without posterior leaves ρ unheeded: its meaning is equation 9.
        """
        given, at = self._checked(queries), self.slices
        share = weights.posterior if self.diagnoses else 0.0
        found = np.empty(given.shape, np.float32)
        blocks = self.blocks.weigh(given[:, at["blocks"]], weights.local_weight)
        found[:, at["blocks"]] = np.float32(weights.meaning * (1 - share)) * blocks
        found[:, at["posterior"]] = np.float32(weights.meaning * share) * given[:, at["posterior"]]
        found[:, at["findings"]] = np.float32(weights.findings) * given[:, at["findings"]]
        found[:, at["look"]] = np.float32(weights.look) * given[:, at["look"]]
        return found

    def score(self, queries: NDArray[Any], cases: NDArray[Any], weights: Weights = PAPER) -> Vectors:
        """The score between query vectors (n, size) and case vectors (m, size); shape (n, m)."""
        return np.asarray(self.weigh(queries, weights) @ self._checked(cases).T, np.float32)

    def parts(self, queries: NDArray[Any], cases: NDArray[Any], weights: Weights = PAPER) -> Parts:
        """Each part by itself, (n, m); the meaning with the shares λ and ρ of ``weights``."""
        shares = weights.model_dump(include={"posterior", "local_weight"})
        alone = (
            Weights(meaning=1, **shares),
            Weights(meaning=0, findings=1, **shares),
            Weights(meaning=0, look=1, **shares),
        )
        return Parts(*(self.score(queries, cases, one) for one in alone))

    def joined(self, blocks: Vectors, posterior: Vectors | None, findings: Vectors, look: Vectors | None) -> Vectors:
        """Vectors (n, size) from their parts; what a model without heads has not is left out."""
        n = len(blocks)
        return np.concatenate(
            [
                blocks.reshape(n, -1),
                np.zeros((n, self.diagnoses), np.float32) if posterior is None else posterior,
                findings,
                np.zeros((n, self.look), np.float32) if look is None else look,
            ],
            axis=1,
            dtype=np.float32,
        )

    def _checked(self, vectors: NDArray[Any]) -> NDArray[Any]:
        array = np.asarray(vectors)
        if array.ndim != 2 or array.shape[1] != self.size:
            raise ValueError(f"vectors of shape {array.shape} do not fit this layout; expected (n, {self.size})")
        return array
