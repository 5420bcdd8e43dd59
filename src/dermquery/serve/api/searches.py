"""Searches: encode a query once, then change weights, filter, page and marks without the network."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Form, Path, Query, Response
from pydantic import AfterValidator

from dermquery.answer.formats import REPORTS, ending_of, render
from dermquery.serve.answers import Answer
from dermquery.serve.api.common import Call, Reading, ScopedRoute, named, png, problems, signed
from dermquery.serve.api.raw_paths import CaseIdPath
from dermquery.serve.api.schemas import PREFIX
from dermquery.serve.api.search_schemas import (
    FeedbackRequest,
    RankingParameters,
    RankingRequest,
    SearchAnswer,
    SearchForm,
)
from dermquery.serve.prepared import Prepared

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
    call: Reading,
    form: Annotated[SearchForm, Form(media_type="multipart/form-data")],
) -> SearchAnswer:
    """Find the most similar cases for an image, a text, checklist terms, or any of them together."""
    options, terms = form.options(), form.terms()
    image = await form.image.read() if form.image is not None else None
    encoding = call.service.encoders.call(call.service.encode, call.owner, image, form.text, terms)
    with named(form.image):
        prepared = await call.wait(encoding)
    return await _ranked(call, prepared, options)


@router.post("/searches/{key}", operation_id="rerank", responses=problems(400, 404, 409, 413, 422))
async def rerank(
    call: Reading,
    key: SearchKey,
    ranking: Ranking = RankingRequest(),
) -> SearchAnswer:
    """Rank again with other weights, another filter or page; nothing is encoded."""
    options, prepared = ranking.options(), call.service.prepared(call.owner, key)
    return await _ranked(call, prepared, options)


@router.post("/searches/{key}/feedback", operation_id="feedback", responses=problems(400, 404, 409, 413, 422))
async def feedback(
    call: Reading,
    key: SearchKey,
    marks: FeedbackRequest,
) -> SearchAnswer:
    """Move the query towards the cases marked as relevant and away from the others; a new search with its own key."""
    options = marks.options()
    moving = call.service.readers.call(call.service.marked, call.owner, key, marks.relevant, marks.irrelevant)
    prepared = await call.wait(moving)
    return await _ranked(call, prepared, options)


@router.post("/cases/{case_id}/similar", operation_id="similar", responses=problems(400, 404, 409, 413, 422))
async def similar(
    call: Reading,
    case_id: CaseIdPath,
    ranking: Ranking = RankingRequest(),
) -> SearchAnswer:
    """Find more like a case; itself, its lesion and its patient are left out."""
    options = ranking.options()
    prepared = await call.read(call.service.like, call.owner, case_id)
    return await _ranked(call, prepared, options)


@router.get(
    "/searches/{key}/cases/{case_id}/overlay",
    operation_id="overlay",
    response_class=Response,
    responses={200: png("Black veil of varying opacity, with the aspect of the image."), **problems(404, 422)},
)
async def overlay(
    call: Reading,
    key: SearchKey,
    case_id: CaseIdPath,
    over: Annotated[Literal["case", "query"], Query(description="The image that the overlay is for.")] = "case",
    level: Annotated[
        str | None, Query(max_length=100, description="One feature level; all together if not given.")
    ] = None,
) -> Response:
    """Where the local similarity with a case comes from: a transparent PNG to lay over an image."""
    prepared = call.service.prepared(call.owner, key)
    drawn = await call.wait(call.service.encoders.call(call.service.overlay, prepared, case_id, level, over))
    await call.read(lambda: call.log("view", case=case_id, what="overlay"))
    return Response(drawn, media_type="image/png", headers={"Cache-Control": "private, no-cache"})


@router.get(
    "/searches/{key}/hits.{ending}",
    operation_id="report",
    response_class=Response,
    responses={
        200: {
            "description": "A report with images (pdf, html, png), or the hits as data (csv, json, fhir.json).",
            "content": {kind.media_type.partition(";")[0]: {} for name in REPORTS.own if (kind := REPORTS.find(name))},
        },
        **problems(404, 409, 422),
    },
)
async def report(
    call: Reading,
    key: SearchKey,
    ending: Ending,
    ranking: Annotated[RankingParameters, Query()],
) -> Response:
    """A ranking as a file to take away."""
    options, prepared = ranking.options(), call.service.prepared(call.owner, key)

    def work() -> tuple[bytes, str]:
        answer = call.service.search(prepared, **options)
        call.sees("report", (hit.case.case_id for hit in answer.result.hits), search=prepared.key)
        return render(ending, answer.result, answer.warnings, call.request.app.state.settings.notice)

    data, media_type = await call.read(work)
    headers = {"Content-Disposition": f'attachment; filename="dermquery-hits.{ending}"'}
    return Response(data, media_type=media_type, headers=headers)


async def _ranked(call: Call, prepared: Prepared, options: dict[str, Any]) -> SearchAnswer:
    return SearchAnswer.of(await call.read(ranked, call, prepared, options), call.root)


def ranked(call: Call, prepared: Prepared, options: dict[str, Any]) -> Answer:
    """Rank, and log who saw which cases; the log has no text, and only the hash of an image."""
    answer = call.service.search(prepared, **options)
    call.log(
        "search",
        search=prepared.key,
        image=prepared.sha256,
        like=prepared.like,
        terms=len(prepared.encoded.terms),
        hits=[hit.case.case_id for hit in answer.result.hits],
    )
    return answer
