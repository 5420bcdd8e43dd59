"""The page at ``/base``: what the base holds, a map of its encodings, and images that occur twice."""

from __future__ import annotations

from starlette.responses import Response

from dermquery.answer.words import tones
from dermquery.serve.web.address import CHOSEN_FIELDS, Address, clause
from dermquery.serve.web.site import Reading, pages, spoken
from dermquery.store.duplicates import DuplicateGroup

__all__ = ["router"]

router = pages()
_MOST_VALUES, _MOST_GROUPS = 12, 30


@router.get("/base")
async def base(visit: Reading) -> Response:
    """The overview."""
    service = visit.service
    await visit.read(service.facts.fetch)
    names = [None if value is None else str(value) for value in service.facts.counts("diagnosis")]
    palette = tones(names)
    return visit.render(
        "base.html", base=service.base.manifest, count=service.facts.count, most=_MOST_VALUES,
        counts={field: service.facts.counts(field) for field in CHOSEN_FIELDS},
        tones={name: palette[name] for name in names}, browse=_browse,
    )  # fmt: skip


def _browse(field: str, value: str) -> str:
    return Address(where=(clause(field, value),)).path().replace("/?", "/browse?", 1)


@router.get("/base/duplicates")
@spoken("#duplicates")
async def duplicates(visit: Reading) -> Response:
    """Images that occur twice."""

    def work() -> list[DuplicateGroup] | None:
        groups = visit.service.facts.find_duplicates()
        if groups:
            visit.sees("duplicates", [case.case_id for group in groups[:_MOST_GROUPS] for case in group.cases])
        return groups

    groups = await visit.read(work)
    return visit.render("duplicates.html", groups=groups, shown=(groups or [])[:_MOST_GROUPS])
