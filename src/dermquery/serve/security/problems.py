"""Refusals of the middlewares, in the form that all errors of the service have."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import Send

from dermquery.serve.security.identity import RefusedError

__all__ = ["refusal", "refuse_socket"]


def refusal(error: RefusedError) -> JSONResponse:
    """The answer to a request that is not allowed."""
    from dermquery.serve.errors import problem  # there, RefusedError is needed first

    return problem(error.status, error.title, error.detail, headers=error.headers)


async def refuse_socket(send: Send) -> None:
    """Refuse a websocket that was not accepted yet; the client sees 403."""
    await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
