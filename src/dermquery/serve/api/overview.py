"""What a base holds as a whole: a map of its encodings, and images that occur twice."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from dermquery.answer.words import TITLES
from dermquery.model.parts import Weights
from dermquery.serve.answers import ConflictError
from dermquery.serve.api.common import Reading, ScopedRoute, problems, signed
from dermquery.serve.api.schemas import PREFIX, Out
from dermquery.store.casebase import EmptyBaseError
from dermquery.store.duplicates import DuplicateGroup
from dermquery.store.projection import Projection

__all__ = ["DuplicatesAnswer", "MapAnswer", "router"]

router = APIRouter(prefix=PREFIX, tags=["about"], dependencies=signed, route_class=ScopedRoute)
MOST_GROUPS = 1000


class MapPoint(Out):
    """A case on the map."""

    case_id: str
    x: float
    y: float
    diagnosis: str | None
    trained_on: bool | None = Field(description="Whether the model was trained on its image; null if it does not say.")


class MapAnswer(Out):
    """Cases on a plane, near ones with similar encodings: the two principal axes of a score's distances."""

    points: tuple[MapPoint, ...] = Field(description="Five thousand at most; of a larger base a fixed sample.")
    explained: tuple[float, float] = Field(description="Shares of the variance that the axes hold.")
    count: int = Field(description="Cases in the base.")
    preset: str | None = Field(description="Name of the weights of the distances.")
    weights: Weights
    local_weight: float


class Duplicates(Out):
    """Cases that show one image."""

    kind: str = Field(description="The same file, or nearly the same picture.")
    case_ids: tuple[str, ...]
    conflicts: tuple[str, ...] = Field(description="Fields that were recorded differently.")

    @classmethod
    def of(cls, group: DuplicateGroup) -> Duplicates:
        """The answer for a group."""
        conflicts = tuple(name for name in group.conflicts if name in TITLES)
        return cls(kind=group.kind, case_ids=tuple(case.case_id for case in group.cases), conflicts=conflicts)


class DuplicatesAnswer(Out):
    """Images that occur twice."""

    groups: tuple[Duplicates, ...] = Field(description="The first thousand.")
    n_groups: int


@router.get("/map", operation_id="map", responses=problems(409))
async def base_map(call: Reading) -> MapAnswer:
    """The base on a plane, by the default weights; drawn anew at most once a minute."""

    def work() -> Projection:
        if not call.service.facts.count:
            raise EmptyBaseError("the base holds no case")
        drawn = call.service.facts.map
        call.sees("map", (point.case_id for point in drawn.points))
        return drawn

    return MapAnswer.model_validate((await call.read(work)).to_dict())


@router.get("/duplicates", operation_id="duplicates", responses=problems(409))
async def duplicates(call: Reading) -> DuplicatesAnswer:
    """Cases that show the same image; a base of more than 20,000 cases is looked through on the command line only."""

    def work() -> list[DuplicateGroup]:
        groups = call.service.facts.find_duplicates()
        if groups is None:
            raise ConflictError("the base is too large to compare while somebody waits; run: dermquery base duplicates")
        call.sees("duplicates", (case.case_id for group in groups[:MOST_GROUPS] for case in group.cases))
        return groups

    groups = await call.read(work)
    return DuplicatesAnswer(groups=tuple(map(Duplicates.of, groups[:MOST_GROUPS])), n_groups=len(groups))
