"""Warnings beside an answer: about the query's image, and about a base that holds nothing like it."""

from __future__ import annotations

import logging
from contextlib import suppress

from PIL import Image

from dermquery.answer.content import Warned
from dermquery.model.alignment import Vectors
from dermquery.model.parts import Weights
from dermquery.serve.kept import Kept
from dermquery.serve.line import Busy, Line
from dermquery.store.casebase import CaseBase
from dermquery.store.likeness import LEAST_CASES, Likeness, encode_alone

__all__ = ["Cautions"]

_GROWN = 0.1
_log = logging.getLogger("dermquery.serve")


class Cautions:
    """What a reader of an answer should know. A thread measures the base, and again when it has grown."""

    def __init__(self, base: CaseBase) -> None:
        self._base = base
        self._line = Line("measuring", 1, 0)
        self._likeness: Likeness | None = None
        self._measured_at = 0
        self._said = Kept[tuple[str, Weights], tuple[Warned, ...]](1024)

    def alone(self, image: Image.Image) -> Vectors | None:
        """The vector that :meth:`unlike` needs of an image; None before the base is measured."""
        return None if self._likeness is None else encode_alone(self._base, image)

    def unlike(self, key: str, alone: Vectors | None, weights: Weights) -> tuple[Warned, ...]:
        """A warning if the base holds nothing like a query's image, which is kept under the query's key."""
        likeness = self._likeness
        if alone is None or likeness is None:
            return ()
        said = self._said.get((key, weights))
        if said is None:
            warning = likeness.judge(alone, weights)
            said = () if warning is None else (warning,)
            with self._said.lock:
                if likeness is self._likeness:  # else the base was measured again meanwhile
                    self._said.put((key, weights), said)
        return said

    def measure(self, count: int) -> None:
        """Measure the base, unless that is going on, or was done when it held about as many cases."""
        if count < LEAST_CASES or abs(count - self._measured_at) <= _GROWN * self._measured_at:
            return
        with suppress(Busy):
            self._line.submit(self._measure, count)

    def close(self) -> None:
        """Wait for a measurement to finish."""
        self._line.close()

    def _measure(self, count: int) -> None:
        likeness: Likeness | None
        try:
            likeness = Likeness.of(self._base)
            self._base.sample(count)
        except Exception:  # searches go on without this warning
            _log.exception("the base cannot be measured")
            likeness = self._likeness
        with self._said.lock:
            self._likeness, self._measured_at = likeness, count
            self._said.clear()
