"""What the service answers: pages of rankings, and what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dermquery.answer.content import Warned
from dermquery.model.parts import Weights
from dermquery.serve.prepared import Prepared
from dermquery.store.hits import SearchResult

__all__ = [
    "MAX_RANK",
    "Answer",
    "CaseExistsError",
    "ConflictError",
    "ImageGoneError",
    "Info",
    "UnknownCaseError",
    "UnknownJobError",
]

MAX_RANK = 1000
"""The last rank that can be asked for, by page and number of hits together."""


class UnknownCaseError(LookupError):
    """The base has no case of this id."""

    def __init__(self, case_id: str) -> None:
        super().__init__(f"the base has no case {case_id!r}; check the id")
        self.case_id = case_id


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


@dataclass(frozen=True)
class Info:
    """What answers here.

    Attributes:
        model_name, model_hash: the model, and the SHA-256 of its artifact.
        labels: diagnoses that it was trained on, as far as it says.
        levels: names of its feature levels, which evidence can be asked for.
        presets: weights of the parts of a score, by name.
        preset: the name of those that stand where a search names none.
        explains: whether evidence can be asked for.
        described: whether cases were encoded with their own findings.
        count: cases in the base.
        diagnoses: how many cases have each diagnosis; None counts those without one.
        keeps_images: whether the base holds the images itself.
        version: of dermquery.
    """

    model_name: str
    model_hash: str
    labels: tuple[str, ...]
    levels: tuple[str, ...]
    presets: Mapping[str, Weights]
    preset: str
    explains: bool
    described: bool
    count: int
    diagnoses: Mapping[str | None, int]
    keeps_images: bool
    version: str


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
