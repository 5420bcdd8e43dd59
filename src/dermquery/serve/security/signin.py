"""The sign-in page: a plain form that works without JavaScript."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dermquery.answer.language import _
from dermquery.answer.rendering import environment_of
from dermquery.serve.audit_log import AuditLog
from dermquery.serve.security.accounts import Accounts
from dermquery.serve.security.addresses import by_unknown_proxy, client_address, is_secure
from dermquery.serve.security.attempts import Attempts, mark_of, marked
from dermquery.serve.security.binding import is_loopback
from dermquery.serve.security.browsers import give_cookie
from dermquery.serve.security.headers import form_policy, nonce_of
from dermquery.serve.security.origins import CSRF_FIELD, check_origin, check_token
from dermquery.serve.security.paths import SIGN_IN, SIGN_OUT
from dermquery.serve.security.sessions import Session, cookie_name
from dermquery.serve.security.users import prepare_nobody
from dermquery.serve.settings import ServeSettings

__all__ = ["local_path", "router"]

_FORM_COOKIE = "dermquery-form"
_MARK_COOKIE, _MARK_SECONDS = "dermquery-known", 90 * 86400
_LONGEST_NAME = 65  # one more than a name may have, so that no megabyte becomes the name of a bucket
_TEMPLATES = environment_of("dermquery.serve.security")


class _SignIn:
    """Handlers of the two paths."""

    def __init__(self, settings: ServeSettings, accounts: Accounts, audit: AuditLog) -> None:
        self._settings, self._audit = settings, audit
        self._users, self._sessions = accounts.users, accounts.sessions
        self._attempts = Attempts()
        prepare_nobody()

    async def form(self, request: Request) -> Response:
        """``GET /sign-in``."""
        wanted = local_path(request.query_params.get("next"))
        if request.state.principal is not None:
            return self._redirect(request, wanted)
        if not _may_carry_passwords(request):
            return _page(request, "plain-http.html", 403)
        return self._form(request, wanted)

    async def sign_in(self, request: Request) -> Response:
        """``POST /sign-in``: always a new session with a new id."""
        check_origin(request.scope)
        if not _may_carry_passwords(request):
            return _page(request, "plain-http.html", 403)
        fields = await request.form(max_files=0, max_fields=4)
        name, password, wanted = (str(fields.get(key, "")) for key in ("name", "password", "next"))
        name = name[:_LONGEST_NAME]
        form = request.cookies.get(_FORM_COOKIE, "")
        if not form or not hmac.compare_digest(form.encode(), str(fields.get(CSRF_FIELD, "")).encode()):
            return self._form(request, local_path(wanted), _("The form was out of date. Please sign in again."), 403)
        address, known_user = client_address(request.scope), self._users.get(name)
        browser = marked(request.cookies.get(_MARK_COOKIE, ""), name, known_user)
        if wait := self._attempts.begin(name, address, browser):
            message = _("Too many attempts. Please wait %s seconds.") % (int(wait) + 1)
            return self._form(request, local_path(wanted), message, 429, {"Retry-After": str(int(wait) + 1)})
        user = await asyncio.to_thread(self._users.check, name, password)
        if user is None:
            known = name if name in self._users.list() else None  # people type passwords into the field for names
            await asyncio.to_thread(self._audit.write, "sign-in-failed", None, name=known, address=address)
            return self._form(request, local_path(wanted), _("Name or password is wrong."), 403)
        self._attempts.succeeded(name, address, browser)
        await asyncio.to_thread(self._audit.write, "sign-in", user.principal(name), address=address)
        secure = is_secure(request.scope)
        self._sessions.end(request.cookies.get(cookie_name(secure=secure), ""))
        response = self._redirect(request, local_path(wanted))
        give_cookie(request, response, cookie_name(secure=secure), self._sessions.begin(name, user))
        path = f"{request.scope.get('root_path', '')}{SIGN_IN}"
        give_cookie(request, response, _MARK_COOKIE, mark_of(name, user), path, _MARK_SECONDS, "strict")
        response.delete_cookie(_FORM_COOKIE, secure=secure, httponly=True, samesite="strict")
        return response

    async def confirm(self, request: Request) -> Response:
        """``GET /sign-out``: a form, because a GET request must change nothing."""
        session: Session | None = request.state.session
        if session is None:
            return self._redirect(request, SIGN_IN)
        return _page(request, "sign-out.html", token=session.csrf, name=session.principal.name)

    async def sign_out(self, request: Request) -> Response:
        """``POST /sign-out``: end the session."""
        session: Session | None = request.state.session
        if session is not None:
            fields = await request.form(max_files=0, max_fields=4)
            check_token(session.csrf, request.headers, str(fields.get(CSRF_FIELD, "")))
            secure = is_secure(request.scope)
            self._sessions.end(request.cookies.get(cookie_name(secure=secure), ""))
            await asyncio.to_thread(self._audit.write, "sign-out", session.principal)
        response = self._redirect(request, SIGN_IN)
        for secure in (False, True):
            response.delete_cookie(cookie_name(secure=secure), secure=secure, httponly=True, samesite="lax")
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response

    def _redirect(self, request: Request, path: str) -> Response:
        return RedirectResponse(f"{request.scope.get('root_path', '')}{path}", 303)

    def _form(
        self, request: Request, wanted: str, message: str = "", status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        token = request.cookies.get(_FORM_COOKIE) or secrets.token_urlsafe(32)
        response = _page(
            request, "sign-in.html", status, token=token, next=wanted, message=message,
            notice=self._settings.notice or "", people=bool(self._users.list()),
        )  # fmt: skip
        response.headers.update(headers or {})
        give_cookie(request, response, _FORM_COOKIE, token, within="strict")
        return response


def router(settings: ServeSettings, accounts: Accounts, audit: AuditLog) -> APIRouter:
    """The routes ``/sign-in`` and ``/sign-out``."""
    handlers, routes = _SignIn(settings, accounts, audit), APIRouter(include_in_schema=False)
    routes.add_api_route(SIGN_IN, handlers.form, methods=["GET"])
    routes.add_api_route(SIGN_IN, handlers.sign_in, methods=["POST"])
    routes.add_api_route(SIGN_OUT, handlers.confirm, methods=["GET"])
    routes.add_api_route(SIGN_OUT, handlers.sign_out, methods=["POST"])
    return routes


def local_path(wanted: str | None) -> str:
    r"""``wanted`` if it is a path of this service, else ``/``: signing in must not lead to another site.

    >>> local_path("/cases?site=back"), local_path("//evil.example"), local_path("/\\evil.example")
    ('/cases?site=back', '/', '/')
    """
    if not wanted or not wanted.startswith("/") or wanted[1:2] in ("/", "\\") or not wanted.isprintable():
        return "/"
    parts = urlsplit(wanted)
    return "/" if parts.scheme or parts.netloc or "\\" in wanted or " " in wanted else wanted


def _may_carry_passwords(request: Request) -> bool:
    """Whether the connection uses TLS or stays on this machine; an untrusted local proxy hides which."""
    if by_unknown_proxy(request.scope):
        return False
    return is_secure(request.scope) or (request.client is not None and _loopback_address(request.client.host))


def _loopback_address(host: str) -> bool:
    try:
        return is_loopback(host)
    except ValueError:
        return False


def _page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    nonce, root = nonce_of(request.scope), request.scope.get("root_path", "")
    html = _TEMPLATES.get_template(template).render(nonce=nonce, root=root, **values)
    return HTMLResponse(html, status, {"Content-Security-Policy": form_policy(nonce)})
