"""A hit beside the query, and beside a second hit; opened over the search page, at an address of its own."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import Response

from dermquery.answer.content import report_content
from dermquery.answer.language import _
from dermquery.data.case import Case
from dermquery.serve.api.schemas import PREFIX, case_url
from dermquery.serve.prepared import Prepared
from dermquery.serve.web.address import Address
from dermquery.serve.web.asking import answered
from dermquery.serve.web.failures import AskError
from dermquery.serve.web.lesion import Photograph, counterpart, photographs
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
        title: names it.
        src: empty where there is none.
        alt: describes it to those who cannot see it.
        overlay: what can be laid over it; empty where nothing can be explained.
        case: whose image it is; None for the query's own.
    """

    kind: str
    title: str
    src: str
    alt: str
    overlay: str = ""
    case: Case | None = None


def _of_case(visit: Visit, photograph: Photograph, kind: str, overlay: str = "") -> Pane:
    case = photograph.case
    title = " · ".join(word for word in (photograph.kind, photograph.taken, case.case_id) if word)
    return Pane(kind, title, visit.case_image(case.case_id), photograph.alt, overlay, case)


def _of_query(visit: Visit, prepared: Prepared, question: Question, overlay: str) -> Pane:
    title, alt = _("Query"), _("Dermoscopic image of the query")
    if prepared.image is None:
        return Pane("query", title, "", alt)
    if not question.like:
        return Pane("query", title, visit.to(f"/queries/{prepared.key}/image"), alt, overlay)
    return Pane("query", title, visit.case_image(question.like), alt, overlay, prepared.excluded.like)


@dataclass(frozen=True)
class Compared:
    """What is seen in a comparison.

    Attributes:
        panes: its images, the query's first.
        lesion: the photographs of the case's lesion; none if there is no other.
    """

    panes: list[Pane]
    lesion: list[Photograph]

    @classmethod
    def of(cls, visit: Visit, key: str, question: Question, cases: list[Case], beside: str) -> Compared:
        """The query beside one or two hits, the clinical photographs of each, and a further image of its lesion."""
        prepared = visit.service.prepared(visit.owner, key)
        explains = isinstance(visit.service.base.model, ExplainingEncoder)

        def overlay(case_id: str, over: str) -> str:
            path = (
                f"{PREFIX}/searches/{quote(key, safe='')}{case_url(case_id).removeprefix(PREFIX)}/overlay?over={over}"
            )
            return visit.to(path) if explains else ""

        lesions = [photographs(visit, case) for case in cases]
        panes = [_of_query(visit, prepared, question, overlay(cases[0].case_id, "query"))]
        for case, lesion in zip(cases, lesions, strict=True):
            panes.append(_of_case(visit, Photograph.of(case), "case", overlay(case.case_id, "case")))
            other = counterpart(case, lesion)
            if other and other.case not in (*cases, *(pane.case for pane in panes)):
                panes.append(_of_case(visit, other, "counterpart"))
        shown = [pane.case for pane in panes]
        earlier = (one for one in lesions[0] if one.case.case_id == beside and one.case not in shown)
        panes += [_of_case(visit, one, "lesion") for one in earlier]
        seen = [one.case.case_id for lesion in lesions for one in lesion]
        visit.sees("compare", list(dict.fromkeys([*(case.case_id for case in cases), *seen])))
        return cls(panes, lesions[0])


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
    seen = await visit.read(Compared.of, visit, answer.prepared.key, asked.question, cases, address.beside)
    return visit.render(
        "compare.html", address=address, hits=hits, place=place, items=items, panes=seen.panes, lesion=seen.lesion,
        levels=visit.service.base.manifest.levels if any(pane.overlay for pane in seen.panes) else (),
    )  # fmt: skip
