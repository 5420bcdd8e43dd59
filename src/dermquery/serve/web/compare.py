"""A hit beside the query, and beside a second hit; opened over the search page, at an address of its own."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from dermquery.answer.content import report_content
from dermquery.answer.language import _
from dermquery.data.case import Case
from dermquery.serve.api.schemas import PREFIX, case_url, search_url
from dermquery.serve.prepared import Prepared
from dermquery.serve.web.address import Address
from dermquery.serve.web.asking import answered
from dermquery.serve.web.failures import AskError
from dermquery.serve.web.lesion import counterpart, photographs
from dermquery.serve.web.question import Question
from dermquery.serve.web.site import Reading, Visit, pages, spoken
from dermquery.store.protocol import ExplainingEncoder

__all__ = ["router"]

router = pages()


@dataclass(frozen=True)
class Pane:
    """An image of the comparison.

    Attributes:
        kind: "query", "case" or "lesion"; "counterpart" is of another kind than its case, and not zoomed.
        src: empty where there is none.
        overlay: what can be laid over it; empty where nothing can be explained.
        case: whose image it is; None for the query's own.
    """

    kind: str
    src: str
    overlay: str = ""
    case: Case | None = None


def _of_query(visit: Visit, prepared: Prepared, question: Question, overlay: str) -> Pane:
    if prepared.image is None:
        return Pane("query", "")
    src = visit.case_image(question.like) if question.like else visit.to(f"/queries/{prepared.key}/image")
    return Pane("query", src, overlay, prepared.excluded.like)


def _panes(
    visit: Visit, prepared: Prepared, question: Question, cases: list[Case], beside: str
) -> tuple[list[Pane], list[Case]]:
    """The query beside one or two hits, the clinical photographs of each, and a further image of its lesion.

    Also the images of the first hit's lesion; none if there is no other.
    """
    explains = isinstance(visit.service.base.model, ExplainingEncoder)

    def overlay(case: Case, over: str) -> str:
        path = f"{search_url(prepared.key)}{case_url(case.case_id).removeprefix(PREFIX)}/overlay?over={over}"
        return visit.to(path) if explains else ""

    def of(case: Case, kind: str, over: str = "") -> Pane:
        return Pane(kind, visit.case_image(case.case_id), over, case)

    lesions = [photographs(visit, case) for case in cases]
    panes = [_of_query(visit, prepared, question, overlay(cases[0], "query"))]
    for case, lesion in zip(cases, lesions, strict=True):
        panes.append(of(case, "case", overlay(case, "case")))
        other = counterpart(case, lesion)
        if other and other not in (*cases, *(pane.case for pane in panes)):
            panes.append(of(other, "counterpart"))
    shown = [pane.case for pane in panes]
    panes += [of(case, "lesion") for case in lesions[0] if case.case_id == beside and case not in shown]
    visit.sees("compare", list(dict.fromkeys(case.case_id for group in (cases, *lesions) for case in group)))
    return panes, lesions[0]


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
    cases = [item.hit.case for item in items]
    panes, lesion = await visit.read(_panes, visit, answer.prepared, asked.question, cases, address.beside)
    return visit.render(
        "compare.html", address=address, hits=hits, place=place, items=items, panes=panes, lesion=lesion,
        levels=visit.service.base.manifest.levels if any(pane.overlay for pane in panes) else (),
    )  # fmt: skip
