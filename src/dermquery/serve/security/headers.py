"""Headers that tell browsers what they may do with our answers."""

from __future__ import annotations

import re
import secrets

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermquery.serve.security.origins import is_secure
from dermquery.serve.security.paths import is_api, is_static, path_of

__all__ = ["API_POLICY", "SecurityHeaders", "form_policy", "nonce_in_templates", "nonce_of", "page_policy"]

#: For everything that is data: loads nothing, shows in no frame.
API_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_FIXED = {
    "X-Content-Type-Options": "nosniff",
    # not no-referrer: browsers would send "Origin: null" with forms then, and every form would be refused
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=(), display-capture=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}


def page_policy(nonce: str) -> str:
    """For the pages that NiceGUI builds.

    Scripts are our files and those inline ones whose tags carry the nonce. ``'unsafe-eval'`` stays, because NiceGUI
    and Vue's template compiler make functions of the text that the server sends them. Styles may be inline, because
    Quasar and NiceGUI add style elements while they run. Nothing comes from, or goes to, another origin.
    """
    return (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def form_policy(nonce: str) -> str:
    """For the sign-in page: one inline style sheet, one form, no script at all."""
    return f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


def nonce_of(scope: Scope) -> str:
    """The nonce of this answer's inline scripts and styles."""
    return str(scope.setdefault("state", {}).setdefault("csp_nonce", secrets.token_urlsafe(18)))


class SecurityHeaders:
    """Adds the headers to every answer, those of errors too; a policy that an answer has already stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, nonce = path_of(scope), nonce_of(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in _FIXED.items():
                    headers[name] = value
                if "content-security-policy" not in headers:
                    is_page = headers.get("content-type", "").startswith("text/html") and not is_api(path)
                    headers["Content-Security-Policy"] = page_policy(nonce) if is_page else API_POLICY
                if not is_static(path) or message["status"] >= 400:
                    headers["Cache-Control"] = "no-store"
                if is_secure(scope):
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                if "server" in headers:
                    del headers["server"]
            await send(message)

        await self._app(scope, receive, with_headers)


def nonce_in_templates() -> None:
    """Let the script tags of NiceGUI's page template carry the nonce.

    The tags of the template's source get it, never those of a page that is already filled in: a script that somebody
    smuggled into a page by a case's text would have been given the nonce as well.
    """
    from jinja2 import BaseLoader, Environment
    from nicegui.client import templates

    class WithNonce(BaseLoader):
        def __init__(self, inner: BaseLoader) -> None:
            self._inner = inner

        def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, object]:  # type: ignore[override]
            source, filename, uptodate = self._inner.get_source(environment, template)
            return _SCRIPT.sub(r'<script nonce="{{ request.state.csp_nonce }}"', source), filename, uptodate

    environment = templates.env
    if environment.loader is None or type(environment.loader).__name__ == WithNonce.__name__:
        return
    environment.loader = WithNonce(environment.loader)
    if environment.cache is not None:
        environment.cache.clear()


_SCRIPT = re.compile(r"<script(?=[\s>])")
