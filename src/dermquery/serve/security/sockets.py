"""Open websockets: slowed down to the rate limit, and closed when the session ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Message, Receive, Scope, Send

from dermquery.serve.security.paths import is_use

__all__ = ["WatchedSocket"]


class WatchedSocket:
    """The two directions of a websocket.

    Args:
        scope: of the websocket.
        receive: of the server.
        send: of the server.
        holds: whether the session still holds; its argument tells whether the person is active.
        wait: takes the next use from the rate and returns 0, or returns the seconds until it may.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        holds: Callable[[bool], bool],
        wait: Callable[[], float],
    ) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._holds, self._wait = holds, wait
        self._over = False

    async def receive(self) -> Message:
        """The next message; a disconnect once the session is over."""
        message = await self._receive()
        if message["type"] != "websocket.receive" or self._over:
            return message
        used = is_use(self._scope, message)
        if not self._holds(used):
            self._over = True
            await self._send({"type": "websocket.close", "code": 1008, "reason": "signed out"})
            return {"type": "websocket.disconnect", "code": 1008, "reason": "signed out"}
        while used and (seconds := self._wait()):
            await asyncio.sleep(seconds)
        return message

    async def send(self, message: Message) -> None:
        """Send a message, unless the socket is closed, which the app may not have noticed yet."""
        if not self._over:
            await self._send(message)
