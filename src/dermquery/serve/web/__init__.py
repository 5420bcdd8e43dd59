"""The web page: search, compare, browse, add cases. Server-rendered, over the same service calls as the API."""

from __future__ import annotations

from fastapi import FastAPI

from dermquery.serve.service import SearchService
from dermquery.serve.settings import ServeSettings
from dermquery.serve.uploads import KeptImages
from dermquery.serve.web import base, browse, compare, images, records, search, site, writing

__all__ = ["install"]


def install(app: FastAPI, service: SearchService, settings: ServeSettings) -> None:
    """Add the pages to an app."""
    app.state.site = site.Site(service, settings, KeptImages(service.decode), records.to_undo())
    for part in (site, search, images, compare, browse, base, writing):
        app.include_router(part.router)
