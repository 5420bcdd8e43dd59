"""Searches: encode a query once, then change weights, filter, page and marks without the network."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Form, Path, Query, Request, Response
from pydantic import AfterValidator

from dermquery.answer.formats import REPORTS, ending_of, render
from dermquery.serve.answers import Answer
from dermquery.serve.api.common import (
    Audited,
    Reader,
    ScopedRoute,
    ServiceHere,
    attended,
    named,
    owner_of,
    png,
    problems,
    root_of,
    signed,
)
from dermquery.serve.api.raw_paths import CaseIdPath
from dermquery.serve.api.schemas import PREFIX
from dermquery.serve.api.search_schemas import (
    FeedbackRequest,
    RankingParameters,
    RankingRequest,
    SearchAnswer,
    SearchForm,
)
from dermquery.serve.audit_log import AuditLog
from dermquery.serve.prepared import Prepared
from dermquery.serve.security.identity import Principal
from dermquery.serve.service import SearchService

__all__ = ["ranked", "router"]

router = APIRouter(prefix=PREFIX, tags=["searches"], dependencies=signed, route_class=ScopedRoute)
SearchKey = Annotated[str, Path(description="Key of a search, from its answer.", max_length=100)]
Ending = Annotated[
    str,
    Path(description="Format of the file.", json_schema_extra={"enum": REPORTS.names()}),
    AfterValidator(lambda ending: ending_of(f"hits.{ending}")),
]
Ranking = Annotated[RankingRequest, Body(description="How to rank; leave it out for the defaults.")]


@router.post("/searches", operation_id="search", responses=problems(400, 409, 413, 422))
async def search(
    request: Request,
    principal: Reader,
    service: ServiceHere,
    audit: Audited,
    form: Annotated[SearchForm, Form(media_type="multipart/form-data")],
) -> SearchAnswer:
    """Find the most similar cases for an image, a text, checklist terms, or any of them together."""
    options, terms = form.options(), form.terms()
    image = await form.image.read() if form.image is not None else None
    encoding = service.encoders.call(service.encode, owner_of(principal), image, form.text, terms)
    with named(form.image):
        prepared = await attended(request, encoding)
    return await _ranked(request, service, audit, principal, prepared, options)


@router.post("/searches/{key}", operation_id="rerank", responses=problems(400, 404, 409, 413, 422))
async def rerank(
    request: Request,
    principal: Reader,
    service: ServiceHere,
    audit: Audited,
    key: SearchKey,
    ranking: Ranking = RankingRequest(),
) -> SearchAnswer:
    """Rank again with other weights, another filter or page; nothing is encoded."""
    options, prepared = ranking.options(), service.prepared(owner_of(principal), key)
    return await _ranked(request, service, audit, principal, prepared, options)


@router.post("/searches/{key}/feedback", operation_id="feedback", responses=problems(400, 404, 409, 413, 422))
async def feedback(
    request: Request,
    principal: Reader,
    service: ServiceHere,
    audit: Audited,
    key: SearchKey,
    marks: FeedbackRequest,
) -> SearchAnswer:
    """Move the query towards the cases marked as relevant and away from the others; a new search with its own key."""
    options = marks.options()
    moving = service.readers.call(service.marked, owner_of(principal), key, marks.relevant, marks.irrelevant)
    prepared = await attended(request, moving)
    return await _ranked(request, service, audit, principal, prepared, options)


@router.post("/cases/{case_id}/similar", operation_id="similar", responses=problems(400, 404, 409, 413, 422))
async def similar(
    request: Request,
    principal: Reader,
    service: ServiceHere,
    audit: Audited,
    case_id: CaseIdPath,
    ranking: Ranking = RankingRequest(),
) -> SearchAnswer:
    """Find more like a case; itself, its lesion and its patient are left out."""
    options = ranking.options()
    prepared = await attended(request, service.readers.call(service.like, owner_of(principal), case_id))
    return await _ranked(request, service, audit, principal, prepared, options)


@router.get(
    "/searches/{key}/cases/{case_id}/overlay",
    operation_id="overlay",
    response_class=Response,
    responses={200: png("Black veil of varying opacity, with the aspect of the image."), **problems(404, 422)},
)
async def overlay(
    request: Request,
    principal: Reader,
    service: ServiceHere,
    audit: Audited,
    key: SearchKey,
    case_id: CaseIdPath,
    over: Annotated[Literal["case", "query"], Query(description="The image that the overlay is for.")] = "case",
    level: Annotated[
        str | None, Query(max_length=100, description="One feature level; all together if not given.")
    ] = None,
) -> Response:
    """Where the local similarity with a case comes from: a transparent PNG to lay over an image."""
    prepared = service.prepared(owner_of(principal), key)
    drawn = await attended(request, service.encoders.call(service.overlays, prepared, case_id, level))
    await attended(request, service.readers.call(audit.write, "view", principal, case=case_id, what="overlay"))
    data = drawn.case if over == "case" else service.query_overlay(drawn)
    return Response(data, media_type="image/png", headers={"Cache-Control": "private, no-cache"})


@router.get(
    "/searches/{key}/hits.{ending}",
    operation_id="report",
    response_class=Response,
    responses={
        200: {
            "description": "A report with images (pdf, html, png), or the hits as data (csv, json).",
            "content": {kind.media_type.partition(";")[0]: {} for name in REPORTS.own if (kind := REPORTS.find(name))},
        },
        **problems(404, 409, 422),
    },
)
async def report(
    request: Request,
    principal: Reader,
    service: ServiceHere,
    audit: Audited,
    key: SearchKey,
    ending: Ending,
    ranking: Annotated[RankingParameters, Query()],
) -> Response:
    """A ranking as a file to take away."""
    options, prepared = ranking.options(), service.prepared(owner_of(principal), key)

    def work() -> tuple[bytes, str]:
        answer = service.search(prepared, **options)
        shown = [hit.case.case_id for hit in answer.result.hits]
        audit.write("view", principal, cases=shown, what="report", search=prepared.key)
        return render(ending, answer.result, answer.warnings, request.app.state.settings.notice)

    data, media_type = await attended(request, service.readers.call(work))
    headers = {"Content-Disposition": f'attachment; filename="dermquery-hits.{ending}"'}
    return Response(data, media_type=media_type, headers=headers)


async def _ranked(
    request: Request,
    service: SearchService,
    audit: AuditLog,
    principal: Principal,
    prepared: Prepared,
    options: dict[str, Any],
) -> SearchAnswer:
    """Rank in the line of readers."""
    ranking = service.readers.call(ranked, service, audit, principal, prepared, options)
    return SearchAnswer.of(await attended(request, ranking), root_of(request))


def ranked(
    service: SearchService, audit: AuditLog, principal: Principal, prepared: Prepared, options: dict[str, Any]
) -> Answer:
    """Rank, and log who saw which cases; the log has no text, and only the hash of an image."""
    answer = service.search(prepared, **options)
    audit.write(
        "search",
        principal,
        search=prepared.key,
        image=prepared.sha256,
        like=prepared.like,
        terms=len(prepared.encoded.terms),
        hits=[hit.case.case_id for hit in answer.result.hits],
    )
    return answer
