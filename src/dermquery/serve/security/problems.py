"""Refusals as RFC 9457 problems."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Send

from dermquery.serve.security.identity import RefusedError

__all__ = ["problem", "refusal", "refuse_socket"]


def problem(status: int, title: str, detail: str, **extra: Any) -> JSONResponse:
    """An ``application/problem+json`` answer.

    Args:
        status: HTTP status.
        title: short, the same for every problem of its kind.
        detail: what was wrong with this request, and what to do.
        extra: further members.
    """
    content = {"type": "about:blank", "title": title or HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(content | extra, status, media_type="application/problem+json")


def refusal(error: RefusedError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer to a request that is not allowed."""
    response = problem(error.status, error.title, error.detail)
    response.headers.update({**error.headers, **(headers or {})})
    return response


async def refuse_socket(send: Send) -> None:
    """Refuse a websocket that was not accepted yet; the client sees 403."""
    await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
