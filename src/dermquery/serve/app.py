"""The application: the API, the chain that guards it, and the page, over one case base."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermquery import __version__
from dermquery.serve import errors, security
from dermquery.serve.api import about, cases, job_routes, overview, searches
from dermquery.serve.api.raw_paths import ROUTED, RawPaths
from dermquery.serve.api.schemas import PREFIX, Problem
from dermquery.serve.audit_log import AuditLog
from dermquery.serve.job_folder import Job
from dermquery.serve.layer import Layer
from dermquery.serve.prometheus import Metrics
from dermquery.serve.security.binding import check_binding
from dermquery.serve.service import SearchService
from dermquery.serve.settings import ServeSettings, usable_state
from dermquery.serve.tongues import Tongues
from dermquery.store.casebase import CaseBase
from dermquery.store.hits import RESEARCH_USE

__all__ = ["create_app"]

_TAGS = [
    {"name": "searches", "description": "Ask for similar cases."},
    {"name": "cases", "description": "Read, put in, change and take out cases."},
    {"name": "jobs", "description": "Put in many cases at once."},
    {"name": "about", "description": "The model and the base."},
    {"name": "health", "description": "For those who run the service."},
]
_DESCRIBED: dict[str, Any] = {
    "title": "dermquery",
    "version": __version__,
    "summary": "Case search for skin cancer",
    "description": RESEARCH_USE,
    "openapi_url": f"{PREFIX}/openapi.json",
    "openapi_tags": _TAGS,
    "docs_url": None,  # these pages load scripts from elsewhere
    "redoc_url": None,
    "separate_input_output_schemas": False,
    "license_info": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
_log = logging.getLogger("dermquery.serve")
_access = logging.getLogger("dermquery.access")


def create_app(settings: ServeSettings, base: CaseBase | None = None, *, page: bool = True) -> FastAPI:
    """The application of one case base.

    Args:
        settings: of the service.
        base: the open case base; without it, the one that the settings name is opened.
        page: serve the web page too.

    Raises:
        ManifestError: there is no case base, or its vectors come from another model.
        AuditError: another process runs with the same state.
        ValueError: other machines could reach the service without signing in, or the state folder cannot be written.
    """
    usable_state(settings.state)
    check_binding(settings)
    opened = CaseBase.open(settings.base, settings.model) if base is None else base
    _ = opened.model  # now, so that a model that cannot be loaded stops the start and not the first query
    if opened.read_only:
        _log.warning("%s", opened.read_only)
    audit = AuditLog(settings.audit_folder, settings.audit_bytes)
    service = SearchService(opened, settings)
    app = FastAPI(
        lifespan=_lifespan, **_DESCRIBED, servers=[{"url": settings.root_path}] if settings.root_path else None
    )
    app.state.service, app.state.audit, app.state.settings = service, audit, settings
    for part in (searches.router, cases.router, job_routes.router, about.router, overview.router, about.health):
        app.include_router(part)
    errors.install(app, service.metrics)
    app.add_middleware(RawPaths)
    security.install(app, settings, audit)
    if page:
        from dermquery.serve import web  # here, so that an API alone does without it

        web.install(app, service, settings)
    app.add_middleware(errors.CrashGuard, unready=service.unready)
    app.add_middleware(Tongues)
    app.add_middleware(_Measured, metrics=service.metrics)
    app.add_middleware(security.SecurityHeaders)  # again, around the guards above, whose answers need them too
    app.openapi = _openapi(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Warm the model up in a thread at the start; stop jobs and lines at the end."""
    service: SearchService = app.state.service
    service.jobs.start(ended=_logged(app.state.audit))
    threading.Thread(target=_warm, args=(service,), name="warm").start()  # no daemon: see ComposedModel.prepare
    try:
        yield
    finally:
        service.close()
        app.state.audit.close()


def _logged(audit: AuditLog) -> Callable[[Job], None]:
    """Log how a job ended."""

    def ended(job: Job) -> None:
        counts = job.model_dump(include={"added", "updated", "unchanged", "n_bad", "removed"})
        audit.write("job", None, job=job.id, owner=job.owner, state=job.state, **counts)

    return ended


def _warm(service: SearchService) -> None:
    try:
        service.warm()
    except Exception:
        _log.exception("the model cannot encode; /readyz says 503 until it can")
    try:
        service.base.store.warm()
    except Exception:
        _log.exception("the base cannot be read ahead; its first searches will be slower")


def _openapi(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """The OpenAPI document with the schema of problems, to which the routes refer."""
    own = app.openapi

    def document() -> dict[str, Any]:
        made = own()
        made["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return made

    return document


class _Measured(Layer):
    """Counts and logs requests and their time by route template; the outermost layer, so it sees refusals too.

    A template, ``/api/v1/cases/{case_id}``, says nothing of whom the request was about; an address would.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        super().__init__(app)
        self._metrics = metrics

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, begun = 499, time.perf_counter()  # 499: the client left before the answer began
        scope[ROUTED] = routed = dict[str, str]()  # a dict, because the layers between may pass on a copy of the scope

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = routed.get("path", "none")
            method = scope["method"] if scope["method"] in errors.METHODS else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            seconds = time.perf_counter() - begun
            self._metrics.latency.labels(method, route).observe(seconds)
            _access.info("%s %s %d %.0f ms", method, route, status, 1000 * seconds)
