"""Finds out who asks, and lets nobody else in."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermquery.serve.audit import AuditLog
from dermquery.serve.security.identity import Principal, RefusedError, wider
from dermquery.serve.security.keys import KeyFile
from dermquery.serve.security.limits import Buckets, too_many
from dermquery.serve.security.oidc import TokenChecker
from dermquery.serve.security.origins import came_from_elsewhere, check_origin, check_token, is_secure
from dermquery.serve.security.paths import (
    SIGN_IN,
    SIGN_OUT,
    SOCKET,
    is_api,
    is_picture,
    is_public,
    is_static,
    path_of,
)
from dermquery.serve.security.problems import refusal, refuse_socket
from dermquery.serve.security.sessions import Session, Sessions, cookie_name
from dermquery.serve.settings import ServeSettings

__all__ = ["Guard"]

_SUSPICIOUS = frozenset({"Not accepted", "Another origin"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCAL = Principal("local", wider(("admin",)), "open")
_PICTURE, _EVENT = 0.1, 0.1  # what a picture or a page's event costs of the rate, beside 1 for a request


class Guard:
    """Authentication, CSRF protection and rate limit, for requests and websockets.

    Args:
        app: what is behind it.
        settings: of the service.
        sessions: of people who signed in.
        audit: where refusals go.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, sessions: Sessions, audit: AuditLog) -> None:
        self._app, self._settings, self._sessions, self._audit = app, settings, sessions, audit
        self._keys = KeyFile(settings.keys_file)
        self._tokens = TokenChecker(settings.oidc) if settings.oidc else None
        self._open = True
        self._rate = Buckets(settings.rate_per_minute, settings.rate_per_minute / 60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            session = self._admit(scope)
        except RefusedError as error:
            await self._refuse(error, scope, receive, send)
            return
        except ValueError:
            logging.getLogger(__name__).exception("nobody can be let in")
            unusable = RefusedError(
                503, "Not set up right", "Keys or users cannot be read; the service's log says why."
            )
            await self._refuse(unusable, scope, receive, send)
            return
        if scope["type"] == "websocket":
            receive = self._watched(scope, receive, session)
        await self._app(scope, receive, send)

    def is_open(self) -> bool:
        """Whether this machine's user needs no authentication. Once some is set up it stays so."""
        self._open = self._open and not self._settings.authentication
        return self._open

    def _admit(self, scope: Scope) -> Session | None:
        """Find the principal, put it into the scope's state, and apply the rules of how it was found.

        Raises:
            RefusedError: not allowed.
        """
        path, state = path_of(scope), scope.setdefault("state", {})
        principal, session = self._principal(scope)
        cost = 0.0 if is_static(path) else _PICTURE if is_picture(path) else 1.0
        if wait := self._rate.take(_bucket(scope, principal), cost):
            raise too_many(wait)
        if principal is None:
            if is_public(path):
                return None
            raise RefusedError(
                401,
                "Sign in first",
                "Send an API key or a token as 'Authorization: Bearer …', or sign in at /sign-in.",
                {"WWW-Authenticate": "Bearer"},
            )
        self._check_page(scope, path, principal, session)
        state["principal"], state["session"] = principal, session
        return session

    def _check_page(self, scope: Scope, path: str, principal: Principal, session: Session | None) -> None:
        """A browser adds a cookie, and open access needs nothing at all: then the page that asks must be ours."""
        socket, changes = scope["type"] == "websocket", scope.get("method") not in _SAFE
        if principal.method == "open":
            if came_from_elsewhere(scope, self._settings.cors_origins):
                check_origin(scope, self._settings.cors_origins)
        elif principal.method == "session" and (socket or changes):
            check_origin(scope)
            # NiceGUI's own addresses hold a random id that only the page of this session knows, as a token would be.
            if session and changes and not socket and path not in (SIGN_IN, SIGN_OUT) and "/_nicegui" not in path:
                check_token(session.csrf, Headers(scope=scope))

    def _principal(self, scope: Scope) -> tuple[Principal | None, Session | None]:
        connection = HTTPConnection(scope)
        if credentials := _credentials(connection):
            principal = self._keys.principal(credentials) or (self._tokens and self._tokens.principal(credentials))
            if not principal:
                raise RefusedError(
                    401,
                    "Not accepted",
                    "The key or token is wrong, was revoked or has expired. Ask for a new one: dermquery keys create.",
                    {"WWW-Authenticate": 'Bearer error="invalid_token"'},
                )
            return principal, None
        session_id = connection.cookies.get(cookie_name(secure=is_secure(scope)))
        session = self._sessions.find(session_id) if session_id else None
        if session is not None:
            return session.principal, session
        return (_LOCAL, None) if self.is_open() else (None, None)

    async def _refuse(self, error: RefusedError, scope: Scope, receive: Receive, send: Send) -> None:
        path, address = path_of(scope), _address(scope)
        if error.title in _SUSPICIOUS:
            if wait := self._rate.take(f"address {address}"):
                error = too_many(wait)
            else:
                facts = {"status": error.status, "why": error.title, "path": path, "address": address}
                await asyncio.to_thread(self._audit.write, "refused", None, **facts)
        if scope["type"] == "websocket":
            await refuse_socket(send)
            return
        wants_page = error.status == 401 and not is_api(path) and scope["method"] in ("GET", "HEAD")
        if wants_page and "text/html" in Headers(scope=scope).get("accept", ""):
            query = scope.get("query_string", b"").decode("latin-1")
            wanted = quote(f"{path}?{query}" if query else path, safe="/")
            await RedirectResponse(f"{scope.get('root_path', '')}{SIGN_IN}?next={wanted}", 303)(scope, receive, send)
            return
        await refusal(error)(scope, receive, send)

    def _watched(self, scope: Scope, receive: Receive, session: Session | None) -> Receive:
        """Messages of a websocket: slowed down to the rate, and ended with the session."""
        session_id = HTTPConnection(scope).cookies.get(cookie_name(secure=is_secure(scope)), "")
        bucket = _bucket(scope, scope["state"]["principal"])

        async def watched() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive":
                return message
            used = _is_use(scope, message)
            if session is not None and self._sessions.find(session_id, touch=used) is None:
                return {"type": "websocket.disconnect", "code": 1008, "reason": "signed out"}
            while used and (wait := self._rate.take(bucket, _EVENT)):
                await asyncio.sleep(wait)
            return message

        return watched


def _credentials(connection: HTTPConnection) -> str | None:
    """What ``Authorization: Bearer`` or ``X-API-Key`` holds."""
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or "none"
    return connection.headers.get("x-api-key")


def _is_use(scope: Scope, message: Message) -> bool:
    """Whether somebody did something: a page that is merely open answers pings and confirms updates."""
    if not path_of(scope).startswith(SOCKET):
        return True
    return str(message.get("text") or "").startswith('42["event"')


def _address(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else "unknown"


def _bucket(scope: Scope, principal: Principal | None) -> str:
    known = principal is not None and principal.method != "open"
    return f"{principal.method} {principal.name}" if principal and known else f"address {_address(scope)}"
