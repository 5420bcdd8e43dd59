"""Evaluation protocols: which cases are queries, and which form the gallery.

A number without its protocol says little: on Derm7pt a gallery that was trained on is far easier than one that was
not. In all three a query never retrieves its own case or lesion (:func:`dermquery.lab.evaluate.ranking.exclude_own`).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from dermquery.data.case import Case
from dermquery.lab.data.folds import Folds

__all__ = ["CaseSets", "Protocol", "protocol_sets"]


class Protocol(StrEnum):
    """How queries and gallery are chosen; results carry the value."""

    SEEN = "seen"
    """Queries: the test fold. Gallery: the other folds, training and validation parts, which the model has seen with
    their labels. It is the paper's protocol as reconstructed; the paper does not say which cases are its gallery."""

    UNSEEN = "unseen"
    """Queries: the test fold. Gallery: the same test fold without the query's own lesion; none of it was trained on."""

    EXTERNAL = "external"
    """Any two case tables that no training has seen; they may be the same one."""

    @property
    def heading(self) -> str:
        """Heading of its tables."""
        return {"seen": "Seen gallery", "unseen": "Unseen gallery", "external": "External"}[self.value]


class CaseSets(NamedTuple):
    """Queries and gallery of a protocol."""

    queries: list[Case]
    gallery: list[Case]


def protocol_sets(protocol: Protocol | str, folds: Folds, fold_index: int, cases: Iterable[Case]) -> CaseSets:
    """Queries and gallery of one fold.

    Args:
        protocol: ``seen`` or ``unseen``.
        folds: made from ``cases``; they are checked against them, so a lesion or a patient cannot be on both sides
            of the seen gallery.
        fold_index: from 0.
        cases: all cases of the table.

    Raises:
        ValueError: for the external protocol, which has no folds, an unknown fold, or folds of another table
            (:class:`dermquery.lab.data.folds.FoldsError`).
    """
    protocol = Protocol(protocol)
    if protocol is Protocol.EXTERNAL:
        raise ValueError("the external protocol has no folds; rank the query table against the gallery table directly")
    parts = folds.split(cases, fold_index)
    if protocol is Protocol.UNSEEN:
        return CaseSets(list(parts.test), list(parts.test))
    return CaseSets(list(parts.test), [*parts.train, *parts.validation])
