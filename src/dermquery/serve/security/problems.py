"""Refusals of the middlewares as problems, like all errors of the service."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import Send

from dermquery.serve.security.identity import RefusedError

__all__ = ["not_in_order", "refusal", "refuse_socket"]


def refusal(error: RefusedError) -> JSONResponse:
    """The answer to a request that is not allowed."""
    from dermquery.serve.errors import problem  # imported late: that module needs RefusedError

    return problem(error.status, error.title, error.detail, headers=error.headers)


def not_in_order() -> RefusedError:
    """The refusal while accounts cannot be read or the log cannot be written; only our own log has the cause."""
    said = "Accounts cannot be read, or the audit log cannot be written; the service's log says why."
    return RefusedError(503, "Not in order", said, {"Retry-After": "60"})


async def refuse_socket(send: Send) -> None:
    """Refuse a websocket before it is accepted; the client gets 403."""
    await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
