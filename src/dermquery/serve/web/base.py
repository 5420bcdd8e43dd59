"""The page at ``/base``: what the base holds, a map of its encodings, and images that occur twice."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from dermquery.answer.language import _
from dermquery.answer.words import TITLES, Tone, describe_case, diagnosis_title, tones, value_title
from dermquery.serve.web.address import CHOSEN_FIELDS, Address, clause
from dermquery.serve.web.site import Reading, Visit, pages, spoken
from dermquery.store.duplicates import DuplicateGroup

__all__ = ["router"]

router = pages()
_MOST_VALUES, _MOST_GROUPS = 12, 30


@dataclass(frozen=True)
class Count:
    """How many cases have a value; ``path`` shows them, empty for those without one."""

    title: str
    n: int
    share: float
    path: str


@dataclass(frozen=True)
class Counts:
    """The values of a field, most frequent first, and how many more there are."""

    title: str
    values: tuple[Count, ...]
    more: int


def _counts(visit: Visit) -> list[Counts]:
    found = []
    for field in CHOSEN_FIELDS:
        counts = visit.service.facts.counts(field)
        if not any(value is not None for value in counts):
            continue
        total = max(sum(counts.values()), 1)
        values = [_count(field, value, n, total) for value, n in list(counts.items())[:_MOST_VALUES]]
        found.append(Counts(_(TITLES[field]), tuple(values), max(len(counts) - _MOST_VALUES, 0)))
    return found


def _count(field: str, value: str | float | None, n: int, total: int) -> Count:
    written = None if value is None else str(value)
    title = diagnosis_title(None) if written is None else value_title(field, written)
    path = "" if written is None else Address(where=(clause(field, written),)).path().replace("/?", "/browse?", 1)
    return Count(title, n, n / total, path)


def _diagnoses(visit: Visit) -> list[tuple[str | None, str, Tone]]:
    names = [None if value is None else str(value) for value in visit.service.facts.counts("diagnosis")]
    palette = tones(names)
    return [(name, diagnosis_title(name), palette[name]) for name in names]


@router.get("/base")
async def base(visit: Reading) -> Response:
    """The overview."""
    service = visit.service
    await visit.read(service.facts.fetch)
    return visit.render(
        "base.html", base=service.base.manifest, count=service.facts.count, counts=_counts(visit),
        diagnoses=_diagnoses(visit),
    )  # fmt: skip


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
    return visit.render(
        "duplicates.html", groups=groups, shown=(groups or [])[:_MOST_GROUPS], titles=TITLES, describe=describe_case
    )
