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
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermquery.answer.language import said
from dermquery.data.decoding import DecodersError
from dermquery.data.image import ImageError
from dermquery.data.rows import CaseTableError
from dermquery.serve.answers import CaseExistsError, ConflictError, ImageGoneError, UnknownCaseError, UnknownJobError
from dermquery.serve.bundle import BundleError
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

__all__ = ["MEDIA_TYPE", "CrashGuard", "answer_to", "install", "problem"]

MEDIA_TYPE = "application/problem+json"
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


_OURS: tuple[tuple[type[Exception], int, str], ...] = (
    (UnknownCaseError, 404, "Unknown case"),
    (UnknownJobError, 404, "Unknown job"),
    (ExpiredQueryError, 404, "Search not kept"),
    (ImageGoneError, 404, "Image not kept"),
    (CaseExistsError, 409, "Case exists"),
    (ConflictError, 409, "Not in this state"),
    (BundleError, 422, "Upload cannot be used"),
    (ImageError, 422, "Image cannot be used"),
    (FilterError, 422, "Filter cannot be used"),
    (QueryError, 422, "Query cannot be answered"),
)
"""Errors whose own message is for the client."""

_HIDDEN: tuple[tuple[type[Exception], int, str, str, int | None], ...] = (
    (
        EmptyBaseError, 409, "Base is empty",
        "The base holds no case yet; add some with POST /api/v1/cases or a job, or with: dermquery index", None,
    ),
    (
        BaseBusyError, 503, "Base is being written to",
        "Another process writes to the base; searching is possible meanwhile, for writing ask again later", 10,
    ),
    (
        UpgradeNeededError, 503, "Base is read-only",
        "The base is of an earlier version; it can be searched, and changed after `dermquery base upgrade`", 3600,
    ),
    (
        ManifestError, 503, "Base cannot be used",
        "The base cannot be opened or its model cannot be loaded; the server's log says why", 30,
    ),
    (
        StoreWriteError, 503, "Base cannot be written to",
        "The base cannot be written to (is its disk full?); mend that and ask again", 60,
    ),
    (
        ArchiveError, 503, "Images cannot be reached",
        "The place where the base keeps its images cannot be reached; ask again later", 30,
    ),
    (
        DecodersError, 503, "Images cannot be decoded",
        "No image can be decoded now; the server's log says why. Ask again later", 10,
    ),
    (
        TableError, 503, "Base cannot be reached",
        "The base cannot be read or written to (is its disk full or read-only?); the server's log says why", 60,
    ),
)  # fmt: skip
"""Errors whose message names paths of this machine: status, title, message for the client, seconds to wait."""


def answer_to(error: Exception) -> tuple[int, str, str] | None:
    """Status, title and words for an error that is expected; None for any other."""
    if isinstance(error, Busy):
        return 503, "Server is busy", str(error)
    for kind, status, title in _OURS:
        if isinstance(error, kind):
            return status, title, str(error)
    return next((known[1:4] for known in _HIDDEN if isinstance(error, known[0])), None)


def install(app: FastAPI, metrics: Metrics) -> None:
    """Make an app answer our errors as problems, and count the requests that a full line refused."""

    def busy(_: Request, error: Exception) -> JSONResponse:
        metrics.refused.labels(getattr(error, "line", "")).inc()
        seconds = getattr(error, "retry_after", 2)
        return problem(503, "Server is busy", f"{error}", headers={"Retry-After": str(seconds)})

    app.add_exception_handler(Busy, busy)
    for kind, status, title in _OURS:
        app.add_exception_handler(kind, _spoken(status, title))
    for kind, status, title, words, seconds in _HIDDEN:
        app.add_exception_handler(kind, _silent(status, title, words, seconds))
    app.add_exception_handler(CaseTableError, _table)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def _spoken(status: int, title: str) -> Callable[[Request, Exception], JSONResponse]:
    return lambda _, error: problem(status, title, str(error))


def _silent(status: int, title: str, words: str, seconds: int | None) -> Callable[[Request, Exception], JSONResponse]:
    def handler(_: Request, error: Exception) -> JSONResponse:
        _log.warning("%s: %s", title, error)
        return problem(status, title, words, headers={} if seconds is None else {"Retry-After": str(seconds)})

    return handler


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


def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    title = HTTPStatus(error.status_code).phrase.capitalize()
    words = {
        404: "There is nothing at this address; /api/v1/openapi.json lists what there is",
        405: "This address does not take this method; the Allow header names those that it takes",
    }
    return problem(error.status_code, title, words.get(error.status_code, str(error.detail)), headers=error.headers)


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


class CrashGuard:
    """Outermost layer of the app: answers a defect with a problem whose id leads to the traceback in the log.

    The log gets the frames and the type of the error, but not its message, which may quote a user.

    Args:
        app: the layers inside.
        unready: returns why the base cannot be read, or None.
    """

    def __init__(self, app: ASGIApp, unready: Callable[[], str | None]) -> None:
        self.app, self._unready = app, unready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as error:
            if not begun and (fault := _disk_fault(error)):
                _log.error("%s: %s", fault, type(error).__qualname__)
                detail = f"{fault}; its administrator has to mend that. Searching may be possible meanwhile"
                await problem(503, "Base cannot be written to", detail, headers={"Retry-After": "60"})(
                    scope, receive, send
                )
                return
            if not begun and (why := await asyncio.to_thread(self._unready)):
                _log.warning("%s while the base cannot be read", type(error).__qualname__)
                await problem(503, "Not ready", why, headers={"Retry-After": "5"})(scope, receive, send)
                return
            name = f"urn:uuid:{uuid.uuid4()}"
            frames = "".join(traceback.format_tb(error.__traceback__))
            _log.error("unexpected %s, %s\n%s", type(error).__qualname__, name, frames)
            if begun:
                raise
            words = (
                f"This is a defect of the server. Tell its administrator this id, under which the log has it: {name}"
            )
            await problem(500, "Unexpected error", words, instance=name)(scope, receive, send)
