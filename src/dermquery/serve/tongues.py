"""Who is answered in which language: by a cookie of the page's switch, else by what browser or program accepts."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from dermquery.answer.language import chosen, speaking
from dermquery.serve.layer import Layer

__all__ = ["LANGUAGE_COOKIE", "Tongues"]

LANGUAGE_COOKIE = "dermquery-language"


class Tongues(Layer):
    """Layer around the app: whatever is said within, pages and problems, is said in the client's language."""

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = HTTPConnection(scope)
        language = chosen(asks.cookies.get(LANGUAGE_COOKIE, ""), asks.headers.get("accept-language", ""))

        async def with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(raw=message.setdefault("headers", []))["Content-Language"] = language.code
            await send(message)

        with speaking(language):
            await self._app(scope, receive, with_header)
