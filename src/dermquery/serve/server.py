"""The HTTP server: uvicorn, with bounds that it does not have, and an end within seconds whatever is running."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import threading
from collections.abc import Sequence
from types import FrameType

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from dermquery.serve.security.addresses import Network, is_in
from dermquery.serve.settings import ServeSettings

__all__ = ["Server", "server_options"]

_CONNECTIONS, _EACH = 512, 64
"""Connections at once, and those of one address; a trusted proxy, which shares them among its clients, may have all."""
_SECONDS_TO_ASK = 15
"""Time for the head of a request, from the connection or the first byte on."""
_SECONDS_TO_END, _SECONDS_TO_ANSWER = 9.0, 3
_log = logging.getLogger("dermquery.serve")


class Server(uvicorn.Server):
    """Ends within ten seconds of a signal, whatever computes, stalls or hangs.

    What was acknowledged is on the disk, so an end in the middle of something loses nothing.
    """

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; called by a signal."""
        super().handle_exit(sig, frame)
        watch = threading.Timer(_SECONDS_TO_END, _leave)
        watch.daemon = True
        watch.start()


def _leave() -> None:
    _log.warning("the service ends although something is still running")
    os._exit(0)


def server_options(settings: ServeSettings) -> dict[str, object]:
    """Arguments of ``uvicorn.Config`` that go with the chain of :mod:`.security`."""
    return {
        "host": settings.host,
        "port": settings.port,
        "http": _protocol(settings.trusted_proxies),
        "proxy_headers": False,  # the chain itself reads these, from trusted_proxies only
        "server_header": False,
        "access_log": False,  # the audit log has what matters; addresses and query strings may say too much
        "timeout_keep_alive": 15,
        "timeout_graceful_shutdown": _SECONDS_TO_ANSWER,  # open pages must not keep the service running
        "limit_concurrency": _CONNECTIONS,
        "h11_max_incomplete_event_size": 32_768,  # headers
        "ws": "none",
    }


class _Bounded(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """A connection: no address has all, and one on which no request arrives is closed."""

    trusted: tuple[Network, ...] = ()
    """Networks of proxies, which bound their own clients."""
    _watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        addresses = [connection.client[0] for connection in self.connections if getattr(connection, "client", None)]
        own = self.client[0] if self.client else ""
        if addresses.count(own) > _EACH and not is_in(own, self.trusted):
            transport.abort()
        else:
            self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._asked():
            self._forget()
        elif self._watch is None:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _asked(self) -> bool:
        """Whether a request is being answered."""
        moved = self.transport.get_protocol() is not self
        return moved or (self.cycle is not None and not self.cycle.response_complete)

    def _expect(self) -> None:
        self._watch = self.loop.call_later(_SECONDS_TO_ASK, self._give_up)

    def _give_up(self) -> None:
        self._watch = None
        if not self._asked() and not self.transport.is_closing():
            self.transport.close()

    def _forget(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None


def _protocol(trusted: Sequence[str]) -> type[asyncio.Protocol]:
    return type("Bounded", (_Bounded,), {"trusted": tuple(map(ipaddress.ip_network, trusted))})
