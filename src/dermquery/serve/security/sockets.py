"""Websockets while they are open: slowed down to the rate, and closed with the session of who opened them."""

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
        holds: whether who opened it may still ask; its argument says whether they are doing something.
        wait: seconds until the next use may be let through, 0 for at once; takes it from the rate if it is 0.
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
        """Send, unless it was closed already: what is behind may not have noticed yet."""
        if not self._over:
            await self._send(message)
