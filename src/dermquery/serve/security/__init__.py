"""A chain of ASGI middlewares around the service: authentication, limits, and headers for browsers."""

from __future__ import annotations

import logging

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from dermquery.data.files import make_folder
from dermquery.serve.audit_log import AuditError, AuditLog
from dermquery.serve.security.accounts import Accounts
from dermquery.serve.security.addresses import KnownHosts, Proxies
from dermquery.serve.security.binding import check_binding
from dermquery.serve.security.guard import Guard
from dermquery.serve.security.headers import SecurityHeaders
from dermquery.serve.security.identity import RefusedError, not_in_order
from dermquery.serve.security.limits import BodyLimit, TimeLimit
from dermquery.serve.security.signin import router
from dermquery.serve.settings import ServeSettings

__all__ = ["SecurityHeaders", "install"]

_log = logging.getLogger("dermquery.serve")


def install(app: FastAPI, settings: ServeSettings, audit: AuditLog) -> None:
    """Put the chain around an app, whatever it mounts, and add the sign-in page.

    From the outside in: headers, proxies, host names, CORS if configured, time, authentication with CSRF protection and
    rate, size of the body. A :class:`.identity.RefusedError` that the app raises becomes a problem.

    Raises:
        ValueError: other machines could reach the service without signing in (:func:`check_binding`), or a file with
            accounts cannot be used.
    """
    check_binding(settings)
    make_folder(settings.state, mode=0o700)
    accounts = Accounts(settings)
    audit.write("start", None, base=settings.base, host=settings.host, port=settings.port, **accounts.summary())
    app.include_router(router(settings, accounts, audit))
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(AuditError, _not_logged)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(Guard, settings=settings, accounts=accounts, audit=audit)
    app.add_middleware(TimeLimit, settings=settings)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=["Retry-After"],
            allow_credentials=False,
        )
    app.add_middleware(KnownHosts, settings=settings)
    app.add_middleware(Proxies, settings=settings)
    app.add_middleware(SecurityHeaders)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - registered for this type
    return error.answer()


def _not_logged(_: Request, error: Exception) -> Response:
    _log.error("%s", error)
    return not_in_order().answer()
