"""Who is answered in which language: by a cookie of the page's switch, else by what browser or program accepts."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dermquery.answer.language import chosen, speaking

__all__ = ["LANGUAGE_COOKIE", "Tongues"]

LANGUAGE_COOKIE = "dermquery-language"


class Tongues:
    """Layer around the app: whatever is said within, pages and problems, is said in the client's language."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asks = HTTPConnection(scope)
        language = chosen(asks.cookies.get(LANGUAGE_COOKIE, ""), asks.headers.get("accept-language", ""))

        async def with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(raw=message.setdefault("headers", []))["Content-Language"] = language.code
            await send(message)

        with speaking(language):
            await self.app(scope, receive, with_header)
