"""Refusals of the middlewares, in the form that all errors of the service have."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import Send

from dermquery.serve.security.identity import RefusedError

__all__ = ["not_in_order", "refusal", "refuse_socket"]


def refusal(error: RefusedError) -> JSONResponse:
    """The answer to a request that is not allowed."""
    from dermquery.serve.errors import problem  # there, RefusedError is needed first

    return problem(error.status, error.title, error.detail, headers=error.headers)


def not_in_order() -> RefusedError:
    """The refusal while accounts cannot be read or nothing can be logged; paths and causes are for our own log."""
    said = "Accounts cannot be read, or the audit log cannot be written; the service's log says why."
    return RefusedError(503, "Not in order", said, {"Retry-After": "60"})


async def refuse_socket(send: Send) -> None:
    """Refuse a websocket that was not accepted yet; the client sees 403."""
    await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
