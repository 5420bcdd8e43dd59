"""Encoded queries, kept for a while and each for its owner only."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dermquery.answer.content import Warned
from dermquery.data.case import Case
from dermquery.model.alignment import Vectors
from dermquery.serve.kept import Kept
from dermquery.store.encoded import EncodedQuery
from dermquery.store.excluded import excluding
from dermquery.store.filters import Filter
from dermquery.store.protocol import CaseReader
from dermquery.store.where import apart_from

__all__ = ["KEPT_SECONDS", "Exclusions", "ExpiredQueryError", "Prepared", "PreparedQueries", "new_key"]

KEPT_SECONDS = 1800.0
"""How long a query and its answers are kept after their last use, and an uploaded image after its upload."""


class ExpiredQueryError(KeyError):
    """A prepared query has expired; the message says what to do."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Exclusions:
    """What a search must not find, whatever its filter says: by ids, and a case with its own lesion and patient."""

    cases: tuple[str, ...] = ()
    lesions: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    like: Case | None = None

    def named(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Ids of all cases, lesions and patients that are left out."""
        own = (
            (None, None, None) if self.like is None else (self.like.case_id, self.like.lesion_id, self.like.patient_id)
        )
        cases, lesions, patients = ((one,) if one else () for one in own)
        return (*self.cases, *cases), (*self.lesions, *lesions), (*self.patients, *patients)

    def within(self, where: Filter, store: CaseReader) -> Filter:
        """The filter with these exclusions.

        Raises:
            FilterError: an id is nobody's, or that of several sources.
        """
        narrowed = excluding(where, store, self.cases, self.lesions, self.patients)
        return narrowed if self.like is None else narrowed.also(*apart_from(self.like))


@dataclass(frozen=True, eq=False)
class Prepared:
    """An encoded query, for which weights, filter, page and marks can change without the network.

    Attributes:
        key: names it to its owner.
        owner: the principal who asked.
        encoded: the query; its image, if it has one, is ``image`` or a case's own.
        image: a JPEG of at most 1600 pixels a side, upright and without metadata; None for a query without image.
        sha256: of the image file that was sent, or of the case's.
        warnings: about the image.
        alone: vector of the image without words, if the base is large enough for a comparison.
        excluded: for a search for more like a case: the case, its lesion and its patient.
        like: id of that case.
        marks: ids of marked cases, True for relevant.
    """

    key: str
    owner: str
    encoded: EncodedQuery
    image: bytes | None = None
    sha256: str | None = None
    warnings: tuple[Warned, ...] = ()
    alone: Vectors | None = None
    excluded: Exclusions = Exclusions()
    like: str | None = None
    marks: Mapping[str, bool] = field(default_factory=dict)


def new_key() -> str:
    """A name that nobody guesses, for a prepared query, an image or an answer."""
    return secrets.token_urlsafe(16)


class PreparedQueries:
    """The queries used last, each for its owner only and forgotten some time after its last use."""

    def __init__(
        self, most: int = 256, seconds: float = KEPT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._seconds = most, seconds
        self._queries = Kept[tuple[str, str], Prepared](most, idle=seconds, clock=clock)

    def put(self, prepared: Prepared) -> Prepared:
        """Keep a query; returns it."""
        return self._queries.put((prepared.owner, prepared.key), prepared)

    def get(self, owner: str, key: str) -> Prepared:
        """A query of this owner.

        Raises:
            ExpiredQueryError: it is not there, or it is somebody else's.
        """
        found = self._queries.get((owner, key))
        if found is None:
            raise ExpiredQueryError(
                f"this search is not kept any more (for {self._seconds / 60:g} minutes after its last use, and "
                f"the last {self._most} of the server); send the query again"
            )
        return found

    def __len__(self) -> int:
        return len(self._queries)
