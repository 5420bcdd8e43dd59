"""Images of queries, for who chose them in the browser in which they did."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from dermquery.answer.content import Warned
from dermquery.answer.language import _, said
from dermquery.data.image import load_image
from dermquery.data.image_quality import check_image
from dermquery.serve.api.common import Reader, ScopedRoute
from dermquery.serve.pictures import query_copy
from dermquery.serve.prepared import ExpiredQueryError
from dermquery.serve.uploads import ExpiredImageError, read_crop, turned_and_cropped
from dermquery.serve.web.asking import IMAGE_EXPIRED
from dermquery.serve.web.site import Site, Visit
from dermquery.store.same_image import said_of

__all__ = ["router"]


def router(site: Site) -> APIRouter:
    """The routes of images."""
    routes = APIRouter(include_in_schema=False, route_class=ScopedRoute)

    @routes.post("/images")
    async def keep_image(request: Request, who: Reader) -> Response:
        data = await request.body()  # the middlewares bound its length
        visit = Visit.of(site, request)
        # In a line: a decoded image may take 200 MB, and forty threads would decode as many at once.
        return JSONResponse(await site.service.readers.call(_kept, visit, data))

    @routes.get("/images/{key}/image")
    def uploaded(request: Request, key: str, who: Reader, turn: int = 0, crop: str = "") -> Response:
        try:
            kept = site.images.of(Visit.of(site, request).owner, key)
        except ExpiredImageError:
            return Response(_(IMAGE_EXPIRED), 410, media_type="text/plain")
        data = kept.shown
        if turn % 4 or crop:
            data = query_copy(turned_and_cropped(load_image(kept.shown), turn, read_crop(crop)))
        return Response(data, media_type="image/jpeg")

    @routes.get("/queries/{key}/image")
    def asked_with(request: Request, key: str, who: Reader) -> Response:
        try:
            image = site.service.prepared(Visit.of(site, request).owner, key).image
        except ExpiredQueryError:
            image = None
        if image is None:
            return Response(_(IMAGE_EXPIRED), 410, media_type="text/plain")
        return Response(image, media_type="image/jpeg")

    return routes


def _kept(visit: Visit, data: bytes) -> dict[str, object]:
    site = visit.site
    kept, image = site.images.keep(visit.owner, data)
    same = site.service.base.cases_of_image(hashlib.sha256(data).hexdigest())
    found: Sequence[Warned] = (*said_of(same), *check_image(image))
    warnings = [said(warning.message) for warning in found]
    links = [{"case": case_id, "url": visit.case_page(case_id)} for case_id in same[:5]]
    return {"key": kept.key, "size": image.size, "warnings": warnings, "same": links}
