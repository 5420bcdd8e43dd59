"""Turns every error into a problem (RFC 9457): what is wrong and what to do, without paths or internals."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import traceback
import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermquery.answer.language import said
from dermquery.data.decoding import DecodersError
from dermquery.data.image import ImageError
from dermquery.data.rows import CaseTableError
from dermquery.serve.answers import CaseExistsError, ConflictError, ImageGoneError, UnknownCaseError, UnknownJobError
from dermquery.serve.bundle import BundleError
from dermquery.serve.layer import Layer
from dermquery.serve.line import Busy
from dermquery.serve.prepared import ExpiredQueryError
from dermquery.serve.prometheus import Metrics
from dermquery.store.archive import ArchiveError
from dermquery.store.base_manifest import ManifestError
from dermquery.store.casebase import EmptyBaseError, QueryError
from dermquery.store.earlier_schemas import UpgradeNeededError
from dermquery.store.filters import FilterError
from dermquery.store.home import BaseBusyError
from dermquery.store.ingest import StoreWriteError
from dermquery.store.lance.lance_table import TableError

__all__ = ["MEDIA_TYPE", "METHODS", "CrashGuard", "answer_to", "install", "problem"]

MEDIA_TYPE = "application/problem+json"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_FAULTS_SHOWN = 100
_ROWS_SHOWN = 50
_log = logging.getLogger("dermquery.serve")


def problem(
    status: int, title: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
) -> JSONResponse:
    """A problem as an answer.

    Args:
        status: HTTP status.
        title: short, and the same for every problem of a kind; docs/api.md explains each.
        detail: what was wrong here, and what to do; in the client's language, as RFC 9457 has it.
        headers: of the answer, such as ``Retry-After``.
        extra: further members; without an ``instance`` among them, the problem gets a new one.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    members = {"type": f"docs/api.md#{slug}", "title": title, "status": status, "detail": said(detail)}
    members["instance"] = f"urn:uuid:{uuid.uuid4()}"
    return JSONResponse({**members, **extra}, status, dict(headers or {}), MEDIA_TYPE)


class _Known(NamedTuple):
    """How an error that is expected is told.

    Attributes:
        words: for the client, where the error's own message names paths of this machine.
        seconds: to wait before asking again.
    """

    status: int
    title: str
    words: str | None = None
    seconds: int | None = None


_KNOWN: Mapping[type[Exception], _Known] = {
    UnknownCaseError: _Known(404, "Unknown case"),
    UnknownJobError: _Known(404, "Unknown job"),
    ExpiredQueryError: _Known(404, "Search not kept"),
    ImageGoneError: _Known(404, "Image not kept"),
    CaseExistsError: _Known(409, "Case exists"),
    ConflictError: _Known(409, "Not in this state"),
    BundleError: _Known(422, "Upload cannot be used"),
    ImageError: _Known(422, "Image cannot be used"),
    FilterError: _Known(422, "Filter cannot be used"),
    QueryError: _Known(422, "Query cannot be answered"),
    Busy: _Known(503, "Server is busy"),
    EmptyBaseError: _Known(
        409, "Base is empty",
        "The base holds no case yet; add some with POST /api/v1/cases or a job, or with: dermquery index",
    ),
    BaseBusyError: _Known(
        503, "Base is being written to",
        "Another process writes to the base; searching is possible meanwhile, for writing ask again later", 10,
    ),
    UpgradeNeededError: _Known(
        503, "Base is read-only",
        "The base is of an earlier version; it can be searched, and changed after `dermquery base upgrade`", 3600,
    ),
    ManifestError: _Known(
        503, "Base cannot be used",
        "The base cannot be opened or its model cannot be loaded; the server's log says why", 30,
    ),
    StoreWriteError: _Known(
        503, "Base cannot be written to",
        "The base cannot be written to (is its disk full?); mend that and ask again", 60,
    ),
    ArchiveError: _Known(
        503, "Images cannot be reached",
        "The place where the base keeps its images cannot be reached; ask again later", 30,
    ),
    DecodersError: _Known(
        503, "Images cannot be decoded",
        "No image can be decoded now; the server's log says why. Ask again later", 10,
    ),
    TableError: _Known(
        503, "Base cannot be reached",
        "The base cannot be read or written to (is its disk full or read-only?); the server's log says why", 60,
    ),
}  # fmt: skip


def answer_to(error: Exception) -> tuple[int, str, str] | None:
    """Status, title and words for an error that is expected; None for any other."""
    known = next((_KNOWN[kind] for kind in type(error).__mro__ if kind in _KNOWN), None)
    return None if known is None else (known.status, known.title, known.words or str(error))


def install(app: FastAPI, metrics: Metrics) -> None:
    """Make an app answer our errors as problems, and count the requests that a full line refused."""

    def handler(known: _Known) -> Callable[[Request, Exception], JSONResponse]:
        def answered(_: Request, error: Exception) -> JSONResponse:
            seconds = known.seconds
            if isinstance(error, Busy):
                metrics.refused.labels(error.line).inc()
                seconds = error.retry_after
            if known.words:
                _log.warning("%s: %s", known.title, error)
            headers = {} if seconds is None else {"Retry-After": str(seconds)}
            return problem(known.status, known.title, known.words or str(error), headers=headers)

        return answered

    for kind, known in _KNOWN.items():
        app.add_exception_handler(kind, handler(known))
    app.add_exception_handler(CaseTableError, _table)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def _table(_: Request, error: Exception) -> JSONResponse:
    rows = error.rows if isinstance(error, CaseTableError) else ()
    listed = [{"line": row.line, "case_id": row.case_id, "problems": list(row.problems)} for row in rows[:_ROWS_SHOWN]]
    return problem(422, "Table cannot be used", str(error), rows=listed, n_rows=len(rows))


def _invalid(_: Request, error: Exception) -> JSONResponse:
    """The invalid fields, each with what it should be, and never with the value sent: it may concern a person."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    faults = [{"field": _field(item["loc"]), "problem": _words(item)} for item in found[:_FAULTS_SHOWN]]
    detail = "; ".join(f"{fault['field']}: {fault['problem']}" for fault in faults[:5])
    return problem(
        422, "Request cannot be read", f"{detail}. /api/v1/openapi.json says what is expected", errors=faults
    )


def _field(location: tuple[int | str, ...]) -> str:
    parts = location[1:] if location and location[0] in ("body", "query", "path", "header") else location
    return ".".join(map(str, parts)) or "body"


def _words(item: Mapping[str, Any]) -> str:
    if item["type"] == "missing":
        return "is missing; give it"
    if item["type"] == "json_invalid":
        return "is not valid JSON"
    return str(item["msg"]).removeprefix("Value error, ")


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    title, headers = HTTPStatus(error.status_code).phrase.capitalize(), dict(error.headers or {})
    words = {
        404: "There is nothing at this address; /api/v1/openapi.json lists what there is",
        405: "This address does not take this method; the Allow header names those that it takes",
    }
    if error.status_code == 405:  # the router names those of one route only
        asked = ({**request.scope, "method": method} for method in METHODS)
        there = (scope for scope in asked if any(one.matches(scope)[0] is Match.FULL for one in request.app.routes))
        headers["Allow"] = ", ".join(scope["method"] for scope in there)
    return problem(error.status_code, title, words.get(error.status_code, str(error.detail)), headers=headers)


_DISK: Mapping[int, str] = {
    errno.ENOSPC: "The server's disk is full",
    errno.EDQUOT: "The server's disk is full",
    errno.EROFS: "The server's disk is read-only",
    errno.EACCES: "The server may not write to its own folder",
    errno.EPERM: "The server may not write to its own folder",
}
"""What an operator can mend, and no defect of the program."""


def _disk_fault(error: BaseException | None) -> str | None:
    """What is wrong with the disk, if an error or what caused it comes from that."""
    while error is not None:
        if isinstance(error, OSError) and (fault := _DISK.get(error.errno or 0)):
            return fault
        error = error.__cause__ or error.__context__
    return None


class CrashGuard(Layer):
    """Outermost layer of the app: answers a defect with a problem whose id leads to the traceback in the log.

    The log gets the frames and the type of the error, but not its message, which may quote a user. Where ``unready``
    says why the base cannot be read, that is the answer.
    """

    def __init__(self, app: ASGIApp, unready: Callable[[], str | None]) -> None:
        super().__init__(app)
        self._unready = unready

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as error:
            if begun:
                self._logged(error)
                raise
            await (await self._answer(error))(scope, receive, send)

    async def _answer(self, error: Exception) -> JSONResponse:
        if fault := _disk_fault(error):
            _log.error("%s: %s", fault, type(error).__qualname__)
            detail = f"{fault}; its administrator has to mend that. Searching may be possible meanwhile"
            return problem(503, "Base cannot be written to", detail, headers={"Retry-After": "60"})
        if why := await asyncio.to_thread(self._unready):
            _log.warning("%s while the base cannot be read", type(error).__qualname__)
            return problem(503, "Not ready", why, headers={"Retry-After": "5"})
        name = self._logged(error)
        words = f"This is a defect of the server. Tell its administrator this id, under which the log has it: {name}"
        return problem(500, "Unexpected error", words, instance=name)

    @staticmethod
    def _logged(error: Exception) -> str:
        name = f"urn:uuid:{uuid.uuid4()}"
        frames = "".join(traceback.format_tb(error.__traceback__))
        _log.error("unexpected %s, %s\n%s", type(error).__qualname__, name, frames)
        return name
