"""The base to look through: a gallery that can be narrowed, and a page for each case."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from dermquery.answer.content import TRAINED_ON, case_facts
from dermquery.answer.language import _
from dermquery.data.checklist import seven_point_score
from dermquery.serve.web.address import Address
from dermquery.serve.web.asking import prepare, rank
from dermquery.serve.web.facets import facets_of
from dermquery.serve.web.failures import words_for
from dermquery.serve.web.lesion import counterpart, photographs
from dermquery.serve.web.question import Question
from dermquery.serve.web.site import Reading, Visit, pages, spoken
from dermquery.serve.web.writing import suggested
from dermquery.store.where import Written

__all__ = ["router"]

router = pages()
_PAGE, _NEIGHBOURS = 60, 12


@router.get("/browse")
async def browse(visit: Reading) -> Response:
    """A page of the gallery."""
    parameters = visit.request.query_params
    address, after = Address.of_form(parameters), parameters.get("after") or None
    status, problem = 200, ""
    condition = Written(address.clauses())
    try:
        rows, more = await visit.read(visit.page, condition, after, _PAGE)
        count = await visit.read(visit.service.base.count, condition)
    except Exception as error:
        (status, problem), rows, more, count = words_for(error), [], None, 0
        address = Address()
    facets = await visit.read(facets_of, visit.service, address)
    template = "gallery_part.html" if visit.is_part and status == 200 else "browse.html"
    return visit.render(
        template, status, address=address, facets=facets, cases=[row.case for row in rows],
        count=count, more=more, after=after, problem=problem,
    )  # fmt: skip


def _read(visit: Visit, case_id: str) -> dict[str, Any]:
    """A case as its own page shows it."""
    service = visit.service
    row = service.case(case_id)
    lesion = photographs(visit, row.case)
    visit.sees("case", [case_id, *(one.case_id for one in lesion if one.case_id != case_id)])
    return {
        "case": row.case,
        "facts": case_facts(row.case),
        "trained_on": _(TRAINED_ON) if service.base.trained_on([row.stamp.phash])[0] else None,
        "lesion": lesion,
        "other": counterpart(row.case, lesion),
        "same_image": [name for name in service.base.cases_of_image(row.stamp.sha256) if name != case_id],
        "viewer": service.viewer.address(row.case) if service.viewer else None,
    }


@router.get("/case")
async def case(visit: Reading) -> Response:
    """A case's own page."""
    try:
        shown = await visit.read(_read, visit, str(visit.request.query_params.get("id") or ""))
    except Exception as error:
        return visit.failed(error)
    if visit.is_part:
        return visit.render("small_case.html", **shown)
    await visit.read(visit.service.facts.fetch)
    score = seven_point_score(shown["case"].checklist)
    return visit.render("case.html", **shown, score=score, suggested=suggested(visit))


@router.get("/case/neighbours")
@spoken("#neighbours")
async def neighbours(visit: Reading) -> Response:
    """The most similar cases."""
    question = Question(like=str(visit.request.query_params.get("id") or ""))
    answer = await rank(visit, await prepare(visit, question), Address())
    return visit.render("neighbours.html", cases=[hit.case for hit in answer.result.hits[:_NEIGHBOURS]])
