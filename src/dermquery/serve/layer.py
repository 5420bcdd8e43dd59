"""A layer of the chain around the app. The service has no websockets: the outermost layer refuses them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Layer"]


class Layer(ABC):
    """Sees every request on its way to the layers inside."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What ASGI calls."""
        if scope["type"] == "http":
            await self.request(scope, receive, send)
        elif scope["type"] == "websocket":  # before it is accepted: the client gets 403
            await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
        else:
            await self._app(scope, receive, send)

    @abstractmethod
    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the layers inside do so."""
