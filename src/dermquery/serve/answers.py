"""What the service answers: pages of rankings, and what it is."""

from __future__ import annotations

from dataclasses import dataclass

from dermquery.answer.content import Warned
from dermquery.serve.prepared import Prepared
from dermquery.store.hits import SearchResult

__all__ = [
    "MAX_RANK",
    "Answer",
    "CaseExistsError",
    "ConflictError",
    "ImageGoneError",
    "UnknownCaseError",
    "UnknownJobError",
]

MAX_RANK = 1000
"""The last rank that can be asked for, by page and number of hits together."""


class UnknownCaseError(LookupError):
    """The base has no case of this id."""

    def __init__(self, case_id: str) -> None:
        super().__init__(f"the base has no case {case_id!r}; check the id")


@dataclass(frozen=True)
class Answer:
    """One page of a ranking.

    Attributes:
        prepared: the query.
        result: the ranking; its hits are those of the page, each with its rank in the whole.
        offset: how many hits come before the page.
        warnings: about the query's image and about how near the hits are.
    """

    prepared: Prepared
    result: SearchResult
    offset: int
    warnings: tuple[Warned, ...]


class ImageGoneError(LookupError):
    """The image of a case is not kept any more; the message says what to do."""


class CaseExistsError(ValueError):
    """A case of this id is there already."""

    def __init__(self, case_id: str) -> None:
        super().__init__(f"there is a case {case_id!r} already; give another id, or say update=true to replace it")


class UnknownJobError(LookupError):
    """There is no job of this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id!r}; GET /api/v1/jobs lists those there are")


class ConflictError(ValueError):
    """Something cannot be done in the state that things are in; the message says what would have to be first."""
