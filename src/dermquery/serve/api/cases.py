"""Cases: read, add, change and delete them, and get their images without metadata."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Response, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, Json

from dermquery.serve.api.common import Call, Reading, ScopedRoute, SmallJson, Writing, named, problems, signed
from dermquery.serve.api.raw_paths import CaseIdPath
from dermquery.serve.api.schemas import PREFIX, CaseAnswer, CasePage
from dermquery.serve.fields import CaseDescription, CaseFields
from dermquery.serve.pictures import Picture
from dermquery.store.protocol import StoredCase
from dermquery.store.where import Written

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["cases"], dependencies=signed, route_class=ScopedRoute)
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The image, upright and encoded anew, without metadata.",
        "content": {f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in ("jpeg", "png")},
        "headers": {"ETag": {"description": "Changes with the image.", "schema": {"type": "string"}}},
    },
    304: {"description": "It is the image that the client has, by If-None-Match."},
}
_LOCATION = {"Location": {"description": "Address of the case.", "schema": {"type": "string"}}}

_EXAMPLE = '{"case_id": "clinic-2024-17", "diagnosis": "nv", "site": "back", "checklist": {"streaks": "absent"}}'


class NewCaseForm(BaseModel):
    """A case to be put in."""

    model_config = ConfigDict(extra="forbid")

    case: Annotated[
        Json[CaseFields], SmallJson, Field(description="What is known of it, in JSON.", examples=[_EXAMPLE])
    ]
    image: Annotated[UploadFile, Field(description="Dermoscopic image: JPEG, PNG, TIFF, …")]
    update: Annotated[bool, Field(description="Replace a case of this id, if there is one.")] = False


class ReplacedCaseForm(BaseModel):
    """What is known of a case now, and its image if that changed too."""

    model_config = ConfigDict(extra="forbid")

    case: Annotated[
        Json[CaseDescription], SmallJson, Field(description="All that is known of it, without its id, in JSON.")
    ]
    image: Annotated[UploadFile | None, Field(description="Another image; without it the old one stays.")] = None


@router.get("/cases", operation_id="cases", responses=problems(422))
async def cases(
    call: Reading,
    where: Annotated[
        list[str] | None, Query(max_length=100, description="Condition such as `site=back`; repeatable.")
    ] = None,
    after: Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CasePage:
    """List cases in the order of their ids."""
    rows, more = await call.read(call.page, Written(tuple(where or ())), after, limit)
    return CasePage(cases=tuple(_answer(row, call) for row in rows), next=more)


@router.get("/cases/{case_id}", operation_id="case", responses=problems(404, 422))
async def case(call: Reading, case_id: CaseIdPath) -> CaseAnswer:
    """One case."""
    return _answer(await call.see("case", case_id, call.service.case), call)


@router.get(
    "/cases/{case_id}/image",
    operation_id="image",
    response_class=Response,
    responses={**_PICTURE, **problems(404, 422)},
)
async def image(call: Reading, case_id: CaseIdPath) -> Response:
    """A case's image."""
    return _sent(await call.see("image", case_id, call.service.image), call)


@router.get(
    "/cases/{case_id}/thumbnail",
    operation_id="thumbnail",
    response_class=Response,
    responses={**_PICTURE, **problems(404, 422)},
)
async def thumbnail(call: Reading, case_id: CaseIdPath) -> Response:
    """A case's image as a JPEG of at most 256 pixels a side. Thumbnails by themselves are not in the audit log."""
    return _sent(await call.read(call.service.thumbnail, case_id), call)


@router.post(
    "/cases",
    operation_id="add",
    status_code=201,
    response_model=CaseAnswer,
    responses={
        200: {"description": "The case was there and is replaced.", "model": CaseAnswer},
        201: {"headers": _LOCATION},
        **problems(400, 409, 413, 422),
    },
)
async def add(
    call: Writing,
    form: Annotated[NewCaseForm, Form(media_type="multipart/form-data")],
) -> Response:
    """Put a case in; it can be found when the answer is there."""
    data, fields = await form.image.read(), form.case

    def others(row: StoredCase) -> tuple[str, ...]:
        return tuple(name for name in call.service.base.cases_of_image(row.stamp.sha256) if name != row.case.case_id)

    def work() -> tuple[bool, CaseAnswer]:
        with named(form.image):
            row, added = call.service.writer.put(fields, data, update=form.update)
        call.log("add" if added else "update", case=fields.case_id, image=row.stamp.sha256)
        return added, _answer(row, call).model_copy(update={"same_image_as": others(row)})

    added, answer = await call.wait(call.service.writer.line.call(work))
    status, headers = (201, {"Location": answer.url}) if added else (200, {})
    return JSONResponse(answer.model_dump(mode="json"), status, headers)


@router.put("/cases/{case_id}", operation_id="update", responses=problems(400, 404, 413, 422))
async def update(
    call: Writing,
    case_id: CaseIdPath,
    form: Annotated[ReplacedCaseForm, Form(media_type="multipart/form-data")],
) -> CaseAnswer:
    """Replace what is known of a case; its image is only encoded again if one is sent."""
    data = await form.image.read() if form.image is not None else None
    fields = CaseFields.model_construct(case_id=case_id, **dict(form.case))

    def work() -> StoredCase:
        with named(form.image):
            row = call.service.writer.change(fields, data)
        call.log("update", case=case_id, image=row.stamp.sha256)
        return row

    return _answer(await call.wait(call.service.writer.line.call(work)), call)


@router.delete("/cases/{case_id}", operation_id="delete", status_code=204, responses=problems(404, 422))
async def delete(call: Writing, case_id: CaseIdPath) -> None:
    """Take a case out; its image stays until `dermquery base tidy`."""

    def work() -> None:
        call.service.case(case_id)
        call.service.writer.delete([case_id])
        call.log("delete", case=case_id)

    await call.wait(call.service.writer.line.call(work))


def _answer(row: StoredCase, call: Call) -> CaseAnswer:
    return CaseAnswer.shown(row.case, row.stamp.sha256, call.root)


def _sent(picture: Picture, call: Call) -> Response:
    """An image with its entity tag, or 304 for a client that has it."""
    tag = f'"{picture.etag}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
    if tag in [known.strip().removeprefix("W/") for known in call.request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(picture.data, media_type=picture.media_type, headers=headers)
