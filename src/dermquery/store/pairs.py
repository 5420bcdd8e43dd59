"""How alike two cases of a base are that have nothing to do with each other: the scale on which people read a part.

A cosine of .87 says nothing to anybody. That it is greater than those of 99.2 % of all pairs does, and the same for
every model and base. So a base keeps quantiles of each part over pairs of other lesions, of a sample of its cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from dermquery.data.case import Case
from dermquery.model.alignment import Vectors
from dermquery.model.parts import PartLayout, Weights
from dermquery.store.protocol import StoredCase

__all__ = ["FEWEST", "SAMPLE", "PairSample", "Pairs", "has_grown", "measure_pairs", "same_lesion", "shares_of"]

FEWEST = 20
"""Cases below which pairs are too few to say anything."""
SAMPLE = 1000
"""Cases that are compared with one another: half a million pairs."""
_GROWN = 0.1
_AT = 1 - 10 ** -np.linspace(0, 5, 201)
"""Where the quantiles lie: a hit is among the most alike, so most of them are there."""

_Quantiles = Annotated[tuple[Annotated[float, Field(ge=-2, le=2)], ...], Field(max_length=len(_AT))]


class Pairs(BaseModel):
    """Quantiles of each part over pairs of cases.

    Attributes:
        count: cases in the base when it was measured.
        pairs: how many pairs there were.
        meaning: by the shares λ and ρ that it depends on (:func:`_shares`).
        findings, look: empty where no case has any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(ge=0, le=10**12)
    pairs: int = Field(ge=1, le=10**12)
    meaning: dict[str, _Quantiles]
    findings: _Quantiles = ()
    look: _Quantiles = ()

    def knows(self, weights: Weights) -> bool:
        """Whether the meaning was measured with these shares."""
        return shares_of(weights) in self.meaning

    def fits(self, count: int) -> bool:
        """Whether a base of so many cases need not be measured again."""
        return not has_grown(self.count, count)

    def share(self, part: str, value: float | None, weights: Weights) -> float | None:
        """The share of pairs that are less alike in a part, in [0, 1); None where that is not known."""
        known = self.meaning.get(shares_of(weights), ()) if part == "meaning" else getattr(self, part)
        if value is None or not known:
            return None
        above = int(np.searchsorted(known, value))
        if above in (0, len(known)):
            found = 0.0 if above == 0 else 1.0
        else:
            low, high = known[above - 1], known[above]
            found = _AT[above - 1] + (_AT[above] - _AT[above - 1]) * (value - low) / (high - low) * (value < high)
        return min(float(found), 1 - 1 / self.pairs)


@dataclass(frozen=True, eq=False)
class PairSample:
    """Pairs of other lesions of a sample, each once, part by part: those of any weights follow by a sum.

    Attributes:
        count: cases in the base.
        local, global_, posterior: what a meaning is summed of, (pairs,); the last is empty for a model without it.
        findings, look: quantiles.
    """

    count: int
    local: Vectors
    global_: Vectors
    posterior: Vectors
    findings: _Quantiles
    look: _Quantiles

    @classmethod
    def of(cls, rows: Sequence[StoredCase], layout: PartLayout, count: int) -> PairSample | None:
        """The pairs of some rows, with vectors, of a base of ``count`` cases; None for too few."""
        other = ~same_lesion([row.case for row in rows])
        if len(rows) < FEWEST or not other.any():
            return None
        vectors = np.stack([row.vector for row in rows])
        asking, once = layout.asking(vectors), np.triu(other)
        asked, held = layout.split(asking), layout.split(vectors)
        asks = other & (asked["findings"].max(axis=1) > 0)[:, None]
        local, global_ = (part[once] for part in layout.blocks.parts(asked["blocks"], held["blocks"]))
        posterior, findings, look = (asked[name] @ held[name].T for name in ("posterior", "findings", "look"))
        return cls(
            count,
            local,
            global_,
            posterior[once] if layout.diagnoses else posterior[:0, 0],
            _quantiles(findings[asks]),
            _quantiles(look[once]) if layout.look else (),
        )

    def by(self, weights: Iterable[Weights]) -> Pairs:
        """Quantiles of the parts, with the meaning by the shares λ and ρ of some weights."""
        meaning: dict[str, _Quantiles] = {}
        for each in weights:
            if (shares := shares_of(each)) not in meaning:
                meant = np.float32(each.local_weight) * self.local + np.float32(1 - each.local_weight) * self.global_
                if each.posterior and len(self.posterior):
                    meant = np.float32(1 - each.posterior) * meant + np.float32(each.posterior) * self.posterior
                meaning[shares] = _quantiles(meant)
        n = len(self.local)
        return Pairs(count=self.count, pairs=n, meaning=meaning, findings=self.findings, look=self.look)


def measure_pairs(
    rows: Sequence[StoredCase], layout: PartLayout, weights: Iterable[Weights], count: int
) -> Pairs | None:
    """Quantiles over the pairs of some rows; None for too few.

    Args:
        rows: a sample of a base, with vectors.
        layout: of the vectors.
        weights: with whose shares the meaning is measured.
        count: cases in the base.
    """
    sample = PairSample.of(rows, layout, count)
    return None if sample is None else sample.by(weights)


def same_lesion(cases: Sequence[Case]) -> NDArray[np.bool_]:
    """(n, n): which pairs show one lesion, or are one case."""
    lesions = np.array([case.lesion_id or "" for case in cases], dtype=object)
    same: NDArray[np.bool_] = (lesions[:, None] == lesions[None]) & (lesions != "")[:, None]
    np.fill_diagonal(same, val=True)
    return same


def _quantiles(values: Vectors) -> _Quantiles:
    if not len(values):
        return ()
    ordered = np.sort(values)
    at = np.minimum((_AT * len(ordered)).astype(np.int64), len(ordered) - 1)
    return tuple(round(float(value), 5) for value in ordered[at])


def has_grown(measured: int, count: int) -> bool:
    """Whether a base of so many cases, measured when it had others, is another one by a tenth."""
    return abs(count - measured) > _GROWN * measured


def shares_of(weights: Weights) -> str:
    """The shares λ and ρ, on which the meaning depends and nothing else does."""
    return f"{weights.local_weight:g} {weights.posterior:g}"
