"""The web page: search, compare, browse, add cases. Server-rendered, over the same service calls as the API."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import RedirectResponse, Response

from dermquery.serve.api.common import Reader
from dermquery.serve.service import SearchService
from dermquery.serve.settings import ServeSettings
from dermquery.serve.web import base, browse, compare, images, search, writing
from dermquery.serve.web.site import Site, Visit, switch_language

__all__ = ["install"]


def install(app: FastAPI, service: SearchService, settings: ServeSettings) -> None:
    """Add the pages to an app whose audit log is in ``app.state.audit``."""
    site = Site.of(service, settings, app.state.audit)
    files = APIRouter(include_in_schema=False)

    @files.get("/static/{version}/{name}")
    def static(request: Request, version: str, name: str, who: Reader) -> Response:
        return site.files.answer(request, name)

    @files.get("/favicon.ico")
    def favicon(request: Request) -> Response:
        return RedirectResponse(f"{request.scope.get('root_path', '')}{site.files.path('favicon.svg')}", 303)

    @files.post("/language")
    async def language(request: Request, who: Reader) -> Response:
        return await switch_language(Visit.of(site, request))

    app.include_router(files)
    for part in (search, images, compare, browse, base, writing):
        app.include_router(part.router(site))
