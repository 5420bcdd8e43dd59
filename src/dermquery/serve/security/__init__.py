"""Who may ask, how much, and what a browser may do with the answer: a chain of ASGI middlewares around the service."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from dermquery.serve.audit import AuditLog
from dermquery.serve.security.guard import Guard
from dermquery.serve.security.headers import SecurityHeaders
from dermquery.serve.security.identity import RefusedError
from dermquery.serve.security.limits import BodyLimit, TimeLimit
from dermquery.serve.security.origins import KnownHosts, Proxies
from dermquery.serve.security.problems import refusal
from dermquery.serve.security.sessions import Session, Sessions
from dermquery.serve.security.signin import router
from dermquery.serve.security.users import UserFile
from dermquery.serve.settings import ServeSettings, check_binding

__all__ = ["csrf_token", "install", "server_options"]


def install(app: FastAPI, settings: ServeSettings, audit: AuditLog) -> None:
    """Put the chain around an app, whatever it mounts, and add the sign-in page.

    From the outside in: headers, proxies, host names, CORS if configured, time, authentication with CSRF protection and
    rate, size of the body.

    Raises:
        ValueError: the app would be open to others than this machine, see :func:`check_binding`.
    """
    check_binding(settings)
    users = UserFile(settings.users_file)
    sessions = Sessions(users, settings.session_idle_minutes * 60, settings.session_hours * 3600)
    app.include_router(router(settings, users, sessions, audit))

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)  # noqa: S101 - what it is registered for
        if error.status == 403:
            principal = getattr(request.state, "principal", None)
            audit.write("refused", principal, status=403, why=error.title, path=request.url.path)
        return refusal(error)

    app.add_exception_handler(RefusedError, refused)
    # The one added last is outermost.
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(Guard, settings=settings, sessions=sessions, audit=audit)
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


def csrf_token(connection: HTTPConnection) -> str | None:
    """What a page of a signed-in person sends along as ``X-CSRF-Token`` when it changes something; else None."""
    session = getattr(connection.state, "session", None)
    return session.csrf if isinstance(session, Session) else None


def server_options(settings: ServeSettings) -> dict[str, object]:
    """Arguments of ``uvicorn.run`` that go with the chain: proxies and the name of the server are its business."""
    return {
        "host": settings.host,
        "port": settings.port,
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,  # the audit log says who asked; a line with an address and a query string says too much
        "timeout_keep_alive": 15,
        "limit_concurrency": 512,
        "h11_max_incomplete_event_size": 32_768,
        "ws_max_size": 2 << 20,
    }
