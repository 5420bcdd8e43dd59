"""Images of queries, for who chose them in the browser in which they did."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi.responses import JSONResponse
from starlette.responses import Response

from dermquery.answer.content import Warned
from dermquery.answer.language import _, said
from dermquery.data.dicom.frames import said_of_frames
from dermquery.data.image import load_image
from dermquery.data.image_quality import check_image
from dermquery.serve.pictures import query_copy
from dermquery.serve.prepared import ExpiredQueryError
from dermquery.serve.uploads import ExpiredImageError, turned_and_cropped
from dermquery.serve.web.asking import IMAGE_EXPIRED
from dermquery.serve.web.site import Reading, Visit, pages
from dermquery.store.same_image import said_of

__all__ = ["router"]


router = pages()


@router.post("/images")
async def keep_image(visit: Reading) -> Response:
    """Keep an image for the query to come."""
    data = await visit.request.body()  # the middlewares bound its length
    # In a line: a decoded image may take 200 MB, and forty threads would decode as many at once.
    return JSONResponse(await visit.read(_kept, visit, data))


@router.get("/images/{key}/image")
def uploaded(visit: Reading, key: str, turn: int = 0) -> Response:
    """An image that was kept, as the editor has it."""
    try:
        kept = visit.site.images.of(visit.owner, key)
    except ExpiredImageError:
        return _gone()
    data = query_copy(turned_and_cropped(load_image(kept.shown), turn, None)) if turn % 4 else kept.shown
    return Response(data, media_type="image/jpeg")


@router.get("/queries/{key}/image")
def asked_with(visit: Reading, key: str) -> Response:
    """The image of a query."""
    try:
        image = visit.service.prepared(visit.owner, key).image
    except ExpiredQueryError:
        image = None
    return _gone() if image is None else Response(image, media_type="image/jpeg")


def _gone() -> Response:
    return Response(_(IMAGE_EXPIRED), 410, media_type="text/plain")


def _kept(visit: Visit, data: bytes) -> dict[str, object]:
    site = visit.site
    kept, image = site.images.keep(visit.owner, data)
    same = site.service.base.cases_of_file(data, image)
    found: Sequence[Warned] = (*said_of_frames(image.frames), *said_of(same), *check_image(image))
    warnings = [said(warning.message) for warning in found]
    links = [{"case": case_id, "url": visit.case_page(case_id)} for case_id in same[:5]]
    return {"key": kept.key, "warnings": warnings, "same": links}
