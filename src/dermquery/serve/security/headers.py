"""Headers that tell browsers what they may do with the answers."""

from __future__ import annotations

import secrets

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from dermquery.serve.layer import Layer
from dermquery.serve.security.addresses import is_secure
from dermquery.serve.security.paths import is_static, path_of

__all__ = ["DATA_POLICY", "SecurityHeaders", "form_policy", "nonce_of"]

#: For data: loads nothing and appears in no frame. Pages bring a policy of their own.
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_FIXED = {
    "X-Content-Type-Options": "nosniff",
    # not no-referrer, with which browsers send "Origin: null" with every form, which the guard refuses
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=(), display-capture=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}


def form_policy(nonce: str) -> str:
    """For the sign-in page: one inline style sheet, one form, no script at all."""
    return f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


def nonce_of(scope: Scope) -> str:
    """The nonce of this answer's inline scripts and styles."""
    return str(scope.setdefault("state", {}).setdefault("csp_nonce", secrets.token_urlsafe(18)))


class SecurityHeaders(Layer):
    """Adds the headers to every answer, also to errors; keeps a policy that an answer already has."""

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = path_of(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in _FIXED.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", DATA_POLICY)
                if not is_static(path) or message["status"] >= 400:
                    headers["Cache-Control"] = "no-store"
                if is_secure(scope):
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                if "server" in headers:
                    del headers["server"]
            await send(message)

        await self._app(scope, receive, with_headers)
