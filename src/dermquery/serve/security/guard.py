"""Authenticates every request, and refuses the others."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermquery.serve.audit_log import AuditError, AuditLog
from dermquery.serve.layer import Layer
from dermquery.serve.line import asking
from dermquery.serve.security.accounts import NOT_ACCEPTED, Accounts
from dermquery.serve.security.addresses import by_unknown_proxy, client_address
from dermquery.serve.security.browsers import browser_of
from dermquery.serve.security.identity import (
    NOT_ALLOWED,
    Principal,
    RefusedError,
    check_scope,
    not_in_order,
    principal_of,
)
from dermquery.serve.security.limits import Buckets, too_many
from dermquery.serve.security.origins import FOREIGN, check_origin, check_token
from dermquery.serve.security.paths import SIGN_IN, is_api, is_public, needs_token, path_of, rate_cost
from dermquery.serve.security.sessions import Session
from dermquery.serve.settings import ServeSettings

__all__ = ["Guard"]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_AT_ONCE = 64
"""Requests, with their bodies on the way, of one principal or address; a browser has six."""
_log = logging.getLogger("dermquery.serve")


class Guard(Layer):
    """Authentication, CSRF protection and rate limit."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, accounts: Accounts, audit: AuditLog) -> None:
        super().__init__(app)
        self._cors, self._accounts, self._audit = settings.cors_origins, accounts, audit
        self._rate = Buckets(settings.rate_per_minute, settings.rate_per_minute / 60)
        self._held: Counter[str] = Counter()

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if not is_public(path_of(scope)):
                self._audit.check()
            for event, facts in self._accounts.changes():
                self._audit.write(event, None, **facts)
            self._admit(scope)
        except RefusedError as error:
            await self._refuse(error, scope, receive, send)
        except (ValueError, OSError):
            _log.exception("nobody can be let in")
            await self._refuse(not_in_order(), scope, receive, send)
        else:
            bucket = _bucket(scope, scope["state"]["principal"])
            if self._held[bucket] >= _AT_ONCE:
                await self._refuse(too_many(2, "requests at once"), scope, receive, send)
                return
            self._held[bucket] += 1
            try:
                with asking(bucket):
                    await self._app(scope, receive, self._logging(scope, send))
            finally:
                self._held[bucket] -= 1
                if not self._held[bucket]:
                    del self._held[bucket]

    def _admit(self, scope: Scope) -> None:
        """Find the principal, put it into the scope's state, and apply the rules of its method.

        Raises:
            RefusedError: the request is not allowed.
        """
        path, state = path_of(scope), scope.setdefault("state", {})
        connection = HTTPConnection(scope)
        principal, session = self._accounts.find(connection)
        if principal is not None:
            principal = replace(principal, browser=browser_of(connection.cookies))
        state["principal"], state["session"], state["csrf"] = principal, session, session.csrf if session else ""
        if wait := self._rate.take(_bucket(scope, principal), rate_cost(path)):
            raise too_many(wait)
        if principal is None:
            if not is_public(path):
                principal_of(HTTPConnection(scope))
            return
        if not is_public(path):
            check_scope(principal, "read")
        self._check_page(scope, path, principal, session)

    def _check_page(self, scope: Scope, path: str, principal: Principal, session: Session | None) -> None:
        """Refuse foreign pages: a browser adds cookies, and a proxy tokens, to the requests of any page."""
        if principal.method == "open":
            _check_no_proxy(scope, path)
            check_origin(scope, self._cors, unsaid=True)
        elif scope["method"] in _SAFE:
            return
        elif session is None:  # a key or token: a program sent it, or a proxy added it for any page
            check_origin(scope, self._cors, unsaid=True)
        else:
            check_origin(scope)
            if needs_token(path):
                check_token(session.csrf, Headers(scope=scope))

    async def _refuse(self, error: RefusedError, scope: Scope, receive: Receive, send: Send) -> None:
        path = path_of(scope)
        if error.title in (NOT_ACCEPTED, FOREIGN, NOT_ALLOWED):
            error = await self._logged_refusal(error, scope)
        if error.status == 401 and _wants_page(scope, path):
            query = scope.get("query_string", b"").decode("latin-1")
            wanted = quote(f"{path}?{query}" if query else path, safe="/")
            await RedirectResponse(f"{scope.get('root_path', '')}{SIGN_IN}?next={wanted}", 303)(scope, receive, send)
        else:
            await error.answer()(scope, receive, send)

    async def _logged_refusal(self, error: RefusedError, scope: Scope) -> RefusedError:
        """Log who tried what, at a bounded rate; returns the refusal to send."""
        address, principal = client_address(scope), scope.get("state", {}).get("principal")
        if wait := self._rate.take(f"address {address}"):
            return too_many(wait)
        facts = {"status": error.status, "why": error.title, "path": path_of(scope), "address": address}
        try:
            await asyncio.to_thread(self._audit.write, "refused", principal, **facts)
        except AuditError:
            return not_in_order()
        return error

    def _logging(self, scope: Scope, send: Send) -> Send:
        """A ``send`` that logs what a known principal was not allowed to do."""
        principal = scope["state"]["principal"]

        async def logged(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 403 and principal is not None:
                facts = {"status": 403, "path": f"{scope['method']} {path_of(scope)}"}
                await asyncio.to_thread(self._audit.write, "refused", principal, **facts)
            await send(message)

        return logged


def _check_no_proxy(scope: Scope, path: str) -> None:
    """Open access is for the local user only; behind a local proxy, everybody would pass for that user."""
    if by_unknown_proxy(scope) and not is_public(path):
        raise RefusedError(
            403,
            "Unknown proxy",
            "The request has X-Forwarded headers, and without authentication the service is for this machine only. Set "
            "up keys or people (dermquery keys create, dermquery users add), and name the proxy in trusted_proxies.",
        )


def _wants_page(scope: Scope, path: str) -> bool:
    accepts = Headers(scope=scope).get("accept", "")
    return not is_api(path) and scope["method"] in ("GET", "HEAD") and "text/html" in accepts


def _bucket(scope: Scope, principal: Principal | None) -> str:
    if principal is None or principal.method == "open":
        return f"address {client_address(scope)}"
    return f"{principal.method} {principal.name}"
