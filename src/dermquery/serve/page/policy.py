"""The content security policy of NiceGUI's pages: scripts and styles by nonce, nothing inline, nothing evaluated.

The page uses nothing of NiceGUI that evaluates text in the browser (``js_handler``, ``run_javascript``, ``run_method``,
Vue templates, ``:`` props), so the policy needs neither ``unsafe-eval`` nor ``unsafe-inline``. A browser test checks
that the browser refuses nothing.
"""

from __future__ import annotations

import re
from typing import Any

from jinja2 import BaseLoader, Environment
from nicegui.client import templates
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermquery.serve.security.headers import nonce_of

__all__ = ["PagePolicy", "page_policy", "tags_with_nonce"]

_TAG = re.compile(r"<(script|style)(?=[\s>])")
_INLINE = {
    ' style="display: none"': " hidden",
    "{{ body_html | safe }}": '{{ body_html | replace("<style></style>", "") | safe }}',
}
"""Inline styles of the template, and their equivalents without inline style."""


def page_policy(nonce: str) -> str:
    """The policy for one answer: files from this server, and of inline scripts and styles those with the nonce."""
    return (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
        "img-src 'self' blob:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


class PagePolicy:
    """Sets the policy of the pages that NiceGUI builds."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = nonce_of(scope)  # before NiceGUI renders the template, which reads it from the state

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                if headers.get("x-nicegui-content") == "page":
                    headers["Content-Security-Policy"] = page_policy(nonce)
            await send(message)

        await self._app(scope, receive, sending)


def tags_with_nonce() -> None:
    """Add the nonce of ``security/headers.py`` to the script and style tags of NiceGUI's template; safe to repeat.

    This changes the template's source, never a rendered page, whose tags might come from a user.
    """
    environment = templates.env
    if environment.loader is None or isinstance(environment.loader, _WithNonce):
        return
    environment.loader = _WithNonce(environment.loader)
    if environment.cache is not None:
        environment.cache.clear()


class _WithNonce(BaseLoader):
    def __init__(self, inner: BaseLoader) -> None:
        self._inner = inner

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Any]:
        source, filename, fresh = self._inner.get_source(environment, template)
        marked = _TAG.sub(r'<\1 nonce="{{ request.state.csp_nonce }}"', source)
        for inline, instead in _INLINE.items():
            marked = marked.replace(inline, instead)
        return marked, filename, fresh
