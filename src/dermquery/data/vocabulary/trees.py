"""Fields whose values are places in a hierarchy, and what is found by asking for a place.

Asking for a place finds it and all below. Every way to ask, in a store's language or in Python, is made of the same two
things (:class:`Below`), so that they agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from dermquery.data.vocabulary.diagnoses import DIAGNOSES, LEVEL
from dermquery.data.vocabulary.sites import SITES

__all__ = ["LEVEL", "TREES", "Below", "Tree", "after", "below"]


@dataclass(frozen=True)
class Below:
    """The values at places and below: those of a list, and those that begin with one of some paths.

    Attributes:
        values: as cases have them.
        paths: each with the colon at its end.
    """

    values: tuple[str, ...]
    paths: tuple[str, ...] = ()

    def holds(self, value: str) -> bool:
        """Whether a value is among them."""
        return value in self.values or value.startswith(self.paths)


def after(path: str) -> str:
    """The first text that is greater than every text that begins with a path, in the order of code points.

    >>> after("Benign:")
    'Benign;'
    """
    return path[:-1] + chr(ord(path[-1]) + 1)


class Tree(Protocol):
    """One hierarchy."""

    def named(self, written: str) -> str | None:
        """The place that somebody means; None for one that is not known."""

    def below(self, place: str) -> Below:
        """The values at a place and below; of a place that is not known, its own and those that begin with it."""

    def lineage(self, value: str) -> tuple[str, ...]:
        """The places above a value, from the top, and the value's own."""


class _SiteTree:
    def named(self, written: str) -> str | None:
        return SITES.named(written)

    def below(self, place: str) -> Below:
        known = SITES.read(place)
        if "," in place or (known is not None and known.side is not None):  # of a case never put into our words
            return Below((place,))
        return Below((*SITES.below(place if known is None else known.site), place))

    def lineage(self, value: str) -> tuple[str, ...]:
        return SITES.lineage(value)


class _DiagnosisTree:
    def named(self, written: str) -> str | None:
        return DIAGNOSES.named(written)

    def below(self, place: str) -> Below:
        names = (self.named(place) or place, place)
        return Below(names, tuple(name + LEVEL for name in names))

    def lineage(self, value: str) -> tuple[str, ...]:
        levels = value.split(LEVEL)
        return tuple(LEVEL.join(levels[:end]) for end in range(1, len(levels) + 1))


TREES: Mapping[str, Tree] = {"site": _SiteTree(), "diagnosis_path": _DiagnosisTree()}
"""By the names of the fields of :attr:`~dermquery.data.case.Kind.TREE`."""


def below(field: str, places: Iterable[str]) -> Below:
    """The values of a field at some places and below, each once."""
    return _below(field, tuple(places))


@lru_cache(maxsize=256)
def _below(field: str, places: tuple[str, ...]) -> Below:
    found = [TREES[field].below(place) for place in places]
    values = dict.fromkeys(value for part in found for value in part.values)
    return Below(tuple(values), tuple(dict.fromkeys(path for part in found for path in part.paths)))
