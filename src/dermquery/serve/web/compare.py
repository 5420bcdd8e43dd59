"""A hit beside the query, and beside a second hit; opened over the search page, at an address of its own."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import Response

from dermquery.answer.content import HitContent, report_content
from dermquery.answer.language import _
from dermquery.data.case import Case
from dermquery.serve.api.schemas import PREFIX, case_url
from dermquery.serve.web.address import Address
from dermquery.serve.web.asking import answered
from dermquery.serve.web.failures import AskError
from dermquery.serve.web.question import Question
from dermquery.serve.web.site import Reading, Visit, pages, spoken
from dermquery.store.filters import AllOf, Filter
from dermquery.store.protocol import ExplainingEncoder
from dermquery.store.where import of_same

__all__ = ["of_lesion", "router"]

router = pages()
_MOST_EARLIER = 12


@dataclass(frozen=True)
class Pane:
    """An image of the comparison; ``src`` is empty where there is none, ``overlay`` where nothing can be explained."""

    name: str
    title: str
    src: str
    alt: str
    overlay: str


def _panes(visit: Visit, key: str, question: Question, items: list[HitContent]) -> list[Pane]:
    service = visit.service
    prepared = service.prepared(visit.owner, key)
    asked_with = visit.case_image(question.like) if question.like else visit.to(f"/queries/{key}/image")
    explains = isinstance(service.base.model, ExplainingEncoder)

    def overlay(case_id: str, over: str) -> str:
        path = f"{PREFIX}/searches/{quote(key, safe='')}{case_url(case_id).removeprefix(PREFIX)}/overlay?over={over}"
        return visit.to(path) if explains else ""

    has_image = prepared.image is not None
    first = overlay(items[0].hit.case.case_id, "query") if has_image else ""
    panes = [Pane("query", _("Query"), asked_with if has_image else "", _("Dermoscopic image of the query"), first)]
    for item in items:
        case_id = item.hit.case.case_id
        panes.append(Pane("case", case_id, visit.case_image(case_id), item.alt, overlay(case_id, "case")))
    return panes


def of_lesion(visit: Visit, case: Case) -> list[Case]:
    """Other images of the case's lesion, by their dates."""
    if (same := of_same(case, "lesion_id")) is None:
        return []
    where = Filter(condition=AllOf(conditions=(same,)))
    rows = visit.service.cases(where, limit=_MOST_EARLIER + 1)
    others = [row.case for row in rows if row.case.case_id != case.case_id]
    return sorted(others, key=lambda other: (str(other.date or ""), other.case_id))


@router.get("/compare")
@spoken("#compare")
async def compare(visit: Reading) -> Response:
    """The comparison of an address."""
    address = Address.of(visit.request.query_params)
    asked = visit.site.asked.get(visit.owner, address.query)
    if asked is None:
        raise AskError(_("This search is not kept any more; search again."), 410)
    asked, answer = await answered(visit, asked, address)
    hits = report_content(answer.result, warnings=answer.warnings).hits
    by_id = {item.hit.case.case_id: place for place, item in enumerate(hits)}
    if address.compare not in by_id:
        raise AskError(_("This case is not among the hits any more; close this and choose another."), 404)
    place = by_id[address.compare]
    items = [hits[place], *([hits[by_id[address.beside]]] if address.beside in by_id else [])]

    def work() -> tuple[list[Pane], list[Case]]:
        lesion = of_lesion(visit, items[0].hit.case)
        visit.sees("compare", [*(item.hit.case.case_id for item in items), *(case.case_id for case in lesion)])
        return _panes(visit, answer.prepared.key, asked.question, items), lesion

    panes, lesion = await visit.read(work)
    return visit.render(
        "compare.html", address=address, hits=hits, place=place, items=items, panes=panes, lesion=lesion,
        levels=visit.service.base.manifest.levels if any(pane.overlay for pane in panes) else (),
    )  # fmt: skip
