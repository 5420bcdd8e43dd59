"""Addresses of the page besides the API: images of queries, the map, and files of answers, for their owners only."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

from dermquery.answer.csv_json import hits_csv, hits_json
from dermquery.answer.html import write_html
from dermquery.answer.pdf import write_pdf
from dermquery.data.image import load_image
from dermquery.data.image_quality import check_image
from dermquery.serve.api.common import Reader, ScopedRoute, owner_of
from dermquery.serve.page import texts
from dermquery.serve.page.frame import Site
from dermquery.serve.pictures import query_copy
from dermquery.serve.security.identity import Principal
from dermquery.serve.service import Answer
from dermquery.serve.uploads import ExpiredImageError, read_crop, turned_and_cropped
from dermquery.store.same_image import said_of

__all__ = ["router"]


def router(site: Site) -> APIRouter:
    """The routes of one server, under ``/page``."""
    routes = APIRouter(prefix="/page", include_in_schema=False, route_class=ScopedRoute)

    @routes.post("/images")
    async def keep_image(request: Request, who: Reader) -> dict[str, object]:
        data = await request.body()  # the middlewares bound its length
        # In a line: a decoded image may take 200 MB, and forty threads would decode as many at once.
        return await site.service.readers.call(_kept, site, owner_of(who), data)

    @routes.get("/images/{key}/image")
    def query_image(key: str, who: Reader, turn: int = 0, crop: str = "") -> Response:
        try:
            kept = site.images.of(owner_of(who), key)
        except ExpiredImageError as error:
            raise HTTPException(410, texts.IMAGE_EXPIRED) from error
        shown = kept.shown
        if turn % 4 or crop:
            shown = query_copy(turned_and_cropped(load_image(kept.shown), turn, read_crop(crop)))
        return Response(shown, media_type="image/jpeg")

    @routes.get("/map")
    def base_map(who: Reader) -> dict[str, object]:
        drawn = site.facts.map
        site.audit.write("view", who, cases=[point.case_id for point in drawn.points], what="map")
        return drawn.to_dict()

    @routes.get("/answers/{key}/hits.{ending}")
    def file(key: str, ending: str, who: Reader) -> Response:
        answer = _answer(site, who, key)
        if ending not in _FILES:
            raise HTTPException(404, f"there is no hits.{ending}; use one of: {', '.join(_FILES)}")
        media_type, write = _FILES[ending]
        headers = {"Content-Disposition": f'attachment; filename="dermquery-hits.{ending}"'}
        data = write(answer, site.settings.notice)
        shown = [hit.case.case_id for hit in answer.result.hits]
        site.audit.write("view", who, cases=shown, what="report", search=answer.prepared.key)
        return Response(data, media_type=media_type, headers=headers)

    return routes


def _kept(site: Site, owner: str, data: bytes) -> dict[str, object]:
    kept, image = site.images.keep(owner, data)
    held = said_of(site.service.base.cases_of_image(hashlib.sha256(data).hexdigest()))
    said = [*(warning.message for warning in held), *(warning.message for warning in check_image(image))]
    return {"key": kept.key, "size": image.size, "warnings": said}


def _answer(site: Site, who: Principal, key: str) -> Answer:
    answer = site.answers.get((owner_of(who), key))
    if answer is None:
        raise HTTPException(410, texts.ANSWER_EXPIRED)
    return answer


def _pdf(answer: Answer, notice: str | None) -> bytes:
    buffer = BytesIO()
    write_pdf(answer.result, buffer, warnings=answer.warnings, notice=notice)
    return buffer.getvalue()


def _html(answer: Answer, notice: str | None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = write_html(answer.result, Path(folder) / "hits.html", warnings=answer.warnings, notice=notice)
        return path.read_bytes()


def _csv(answer: Answer, _notice: str | None) -> bytes:
    return hits_csv(answer.result).encode("utf-8-sig")  # Excel recognises UTF-8 by its byte order mark


def _json(answer: Answer, _notice: str | None) -> bytes:
    return hits_json(answer.result, answer.warnings).encode()


_FILES: dict[str, tuple[str, Callable[[Answer, str | None], bytes]]] = {
    "pdf": ("application/pdf", _pdf),
    "html": ("text/html; charset=utf-8", _html),
    "csv": ("text/csv; charset=utf-8", _csv),
    "json": ("application/json", _json),
}
