"""Heads on a backbone's pooled features as a system: meaning, findings and look in one weighted sum.

Nothing but regressions and a whitening is fitted (:mod:`dermquery.lab.train.heads`), in a minute. With the frozen
Xception of ``sklesion`` it is the row ``frozen+`` that every trained system has to beat.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dermquery.data.case import Case
from dermquery.lab.systems.composed import ComposedRanker, QueryParts
from dermquery.lab.systems.ranker import Scores
from dermquery.lab.train.heads import HeadFit, fit_heads
from dermquery.model.heads import Floats, asked_values, recorded_values
from dermquery.model.parts import Parts

__all__ = ["BALANCE", "POSTERIOR", "ThreeParts"]

BALANCE = Parts(meaning=1.0, findings=0.3, look=0.1)
"""Weights in units of each part's standard deviation over pairs of training cases; chosen on inner validation parts."""


POSTERIOR = 0.5
"""ρ, share of the posteriors in the meaning where a composed model has the rest."""


class ThreeParts:
    """Searches by heads alone.

    Args:
        features: pooled features (n, F) of cases.
        others: further training cases, of images and diagnoses alone; lesions with several photographs teach the look.
        balance: weights of the parts, in units of their spread.
        parts: which part of the query is used.
        recorded: the gallery's findings are those that were recorded, where they were.
        composed: a trained model whose equation 9 is a part of the meaning; none leaves the posteriors alone.
    """

    name = "three parts"

    def __init__(
        self,
        features: Callable[[Sequence[Case]], Floats],
        others: Sequence[Case] = (),
        *,
        balance: Parts = BALANCE,
        parts: QueryParts = "composed",
        recorded: bool = False,
        composed: ComposedRanker | None = None,
    ) -> None:
        self._features, self._others = features, list(others)
        self.balance, self.parts, self.recorded = balance, parts, recorded
        self._composed = None if composed is None else composed.variant(parts=parts)
        self.train_seconds: float | None = None
        self._fit: HeadFit | None = None
        self.spreads = Parts(1.0, 1.0, 1.0)

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Fit the heads on both parts and the others, unless that was done; strengths are chosen within them."""
        if self._fit is not None:
            return
        started = time.monotonic()
        own = [*training, *validation]
        cases = [*own, *self._others]
        self._fit = fit_heads(np.concatenate([self._features(own), *self._pooled_others()]), cases)
        self.spreads = self._measured(own)
        self.train_seconds = round(time.monotonic() - started, 1)

    def variant(
        self, *, parts: QueryParts = "composed", recorded: bool = False, balance: Parts = BALANCE
    ) -> ThreeParts:
        """The same heads asked with another part of the query, in another gallery, or with other weights."""
        other = ThreeParts(
            self._features, self._others, balance=balance, parts=parts, recorded=recorded, composed=self._composed
        )
        other._fit, other.spreads, other.train_seconds = self._fit, self.spreads, self.train_seconds
        return other

    def spoken(self) -> ThreeParts:
        """The same heads, gallery and weights, asked with words alone."""
        return self.variant(parts="text only", recorded=self.recorded, balance=self.balance)

    @property
    def fitted(self) -> HeadFit:
        """The heads; RuntimeError before ``fit``."""
        if self._fit is None:
            raise RuntimeError("fit the ranker before it scores")
        return self._fit

    @property
    def bytes_per_case(self) -> int:
        """Posterior, findings and look in float16."""
        heads = self.fitted.heads
        blocks = 0 if self._composed is None else self._composed.model.layout.size
        return 2 * (blocks + len(heads.diagnoses) + len(heads.findings) + len(heads.look))

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        found = self.similarities(queries, gallery)
        return np.asarray(
            sum(w / s * part for w, s, part in zip(self.balance, self.spreads, found.values(), strict=True))
        )

    def similarities(self, queries: Sequence[Case], gallery: Sequence[Case]) -> dict[str, NDArray[np.float32]]:
        """The three parts, each (n_queries, n_gallery)."""
        heads = self.fitted.heads
        held = self._features(gallery)
        asked = None if self.parts == "text only" else self._features(queries)
        terms = [{} if self.parts == "image only" else dict(case.checklist) for case in queries]
        values = heads.predicted_values(held)
        if self.recorded:
            values = recorded_values([case.checklist for case in gallery], values)
        looks = np.zeros((len(queries), len(heads.look)), np.float32) if asked is None else heads.look_of(asked)
        meaning = heads.belief(asked, terms) @ heads.belief(held).T
        if self._composed is not None:
            meaning = POSTERIOR * meaning + (1 - POSTERIOR) * self._composed.score(queries, gallery)
        return {
            "meaning": meaning,
            "findings": asked_values(terms) @ values.T,
            "look": looks @ heads.look_of(held).T,
        }

    def _measured(self, cases: Sequence[Case]) -> Parts:
        """Standard deviation of each part over pairs of cases, so that weights mean the same for every model."""
        pairs = ~np.eye(len(cases), dtype=bool)
        return Parts(*(float(part[pairs].std()) for part in self.similarities(cases, cases).values()))

    def _pooled_others(self) -> list[Floats]:
        return [self._features(self._others)] if self._others else []
