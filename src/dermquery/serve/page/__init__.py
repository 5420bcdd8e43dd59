"""The web page: search, compare, take away, add cases, look at the base. Everything it loads comes from this server."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

from fastapi import FastAPI, Request
from nicegui import core, ui

from dermquery.serve.page import texts
from dermquery.serve.page.add_page import AddPage
from dermquery.serve.page.base_page import BasePage
from dermquery.serve.page.frame import Site, Visit, frame
from dermquery.serve.page.policy import PagePolicy, tags_with_nonce
from dermquery.serve.page.routes import router
from dermquery.serve.page.search_page import SearchPage
from dermquery.serve.service import SearchService
from dermquery.serve.settings import ServeSettings
from dermquery.serve.uploads import KeptImages

__all__ = ["install"]

_SECONDS = 30.0


def install(app: FastAPI, service: SearchService, settings: ServeSettings) -> None:
    """Add the pages to an app whose audit log is in ``app.state.audit``.

    NiceGUI is one per process: a second app takes over the pages of the first.
    """
    # NiceGUI looks for its server among all objects of the process, and one of PyTorch's warns about that.
    warnings.filterwarnings("ignore", "`torch.distributed.reduce_op` is deprecated", FutureWarning)
    # NiceGUI logs the whole address of whatever it does not find, which may name a person.
    logging.getLogger("nicegui").addFilter(_says_no_address)
    images = KeptImages(service.decode)
    site = Site(service, settings, images, app.state.audit, service.facts)
    app.include_router(router(site))
    _pages(site)
    tags_with_nonce()
    core.app.middleware_stack = None
    core.app.user_middleware.clear()
    core.app.add_middleware(PagePolicy)
    # Without a storage secret NiceGUI sets no cookie; only the address holds what a person asked.
    ui.run_with(
        app, title=texts.TITLE, language=texts.LANGUAGE, dark=None, tailwind=False, show_welcome_message=False,
        binding_refresh_interval=None, reconnect_timeout=30, favicon=Path(__file__).parent / "static" / "favicon.svg",
    )  # fmt: skip


def _says_no_address(record: logging.LogRecord) -> bool:
    return not record.getMessage().endswith(" not found")


def _pages(site: Site) -> None:
    async def counted() -> None:
        """Count what the pages say about the base, outside the event loop."""
        await site.service.readers.call(site.facts.fetch)

    @ui.page("/", response_timeout=_SECONDS)
    async def search(request: Request) -> None:
        await counted()
        visit = Visit.of(site, request)
        with frame(visit, "/", texts.NAV_SEARCH, "search"):
            SearchPage(visit)

    @ui.page("/base", response_timeout=_SECONDS)
    async def overview(request: Request) -> None:
        await counted()
        visit = Visit.of(site, request)
        with frame(visit, "/base", texts.NAV_BASE, "overview"):
            BasePage(visit)

    @ui.page("/add", response_timeout=_SECONDS)
    async def add(request: Request) -> None:
        await counted()
        visit = Visit.of(site, request)
        with frame(visit, "/add", texts.NAV_ADD, "adding"):
            AddPage(visit)
