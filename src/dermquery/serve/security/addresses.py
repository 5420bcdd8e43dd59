"""The names that the service answers to, and the proxies it trusts to name the client."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dermquery.serve.layer import Layer
from dermquery.serve.security.binding import is_loopback
from dermquery.serve.security.identity import RefusedError
from dermquery.serve.settings import ServeSettings

__all__ = ["KnownHosts", "Network", "Proxies", "by_unknown_proxy", "client_address", "is_in", "is_secure"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_FORWARDED = (b"forwarded", b"x-forwarded-")
_UNKNOWN_PROXY = "dermquery.unknown_proxy"


class Proxies(Layer):
    """Takes the client's address and scheme from ``X-Forwarded-For`` and ``-Proto`` of trusted proxies.

    It then removes all such headers, so that nothing behind it reads what a stranger claims; :func:`by_unknown_proxy`
    tells whether there were any. The path under which a proxy shows the service comes from the settings.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        super().__init__(app)
        self._root_path = settings.root_path
        self._trusted = [ipaddress.ip_network(network) for network in settings.trusted_proxies]

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["root_path"] = self._root_path or scope.get("root_path", "")
        headers = Headers(scope=scope)
        peer = scope["client"][0] if scope.get("client") else None
        if is_in(peer, self._trusted):
            address = self._client(headers.getlist("x-forwarded-for")) or peer
            scope["client"] = (address, 0)
            if headers.get("x-forwarded-proto", "").strip().lower() == "https":
                scope["scheme"] = "https"
        kept = [(name, value) for name, value in scope["headers"] if not name.startswith(_FORWARDED)]
        scope[_UNKNOWN_PROXY] = len(kept) < len(scope["headers"]) and not is_in(peer, self._trusted)
        scope["headers"] = kept
        await self._app(scope, receive, send)

    def _client(self, forwarded: list[str]) -> str | None:
        """The last address that is no trusted proxy's; the client may have made up those before it."""
        addresses = [part.strip() for part in ",".join(forwarded).split(",") if part.strip()]
        for address in reversed(addresses):
            if not is_in(address, self._trusted):
                return address if _is_address(address) else None
        return addresses[0] if addresses else None


class KnownHosts(Layer):
    """Refuses requests for another host: a name that an attacker points at this machine (DNS rebinding)."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        super().__init__(app)
        self._known = {settings.host.lower().strip("[]"), *settings.hosts}
        # Bound to all addresses, any name may lead here; but then everybody has to sign in.
        self._any = settings.host in ("0.0.0.0", "::", "") and not settings.hosts  # noqa: S104

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._knows(Headers(scope=scope).getlist("host")):
            await self._app(scope, receive, send)
        else:
            named = ", ".join(Headers(scope=scope).getlist("host")) or "none"
            error = RefusedError(
                421,
                "Not served under this name",
                f"The Host header is {named!r}. Use the address that the service listens at, or add the name to hosts "
                "in the [serve] section of the configuration.",
            )
            await error.answer()(scope, receive, send)

    def _knows(self, hosts: list[str]) -> bool:
        if len(hosts) != 1:
            return False
        name = _host_of(hosts[0])
        if name is None:
            return False
        return self._any or name in self._known or name == "localhost" or (_is_address(name) and is_loopback(name))


def is_in(address: str | None, networks: Sequence[Network]) -> bool:
    """Whether it is an address of one of the networks."""
    if address is None or not _is_address(address):
        return False
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in networks)


def is_secure(scope: Scope) -> bool:
    """Whether the client used TLS, to us or to a trusted proxy."""
    return bool(scope.get("scheme") == "https")


def by_unknown_proxy(scope: Scope) -> bool:
    """Whether a request seems to come through an untrusted proxy, so that its peer says nothing about the client."""
    return bool(scope.get(_UNKNOWN_PROXY, False))


def client_address(scope: Scope) -> str:
    """The client's address."""
    return str(scope["client"][0]) if scope.get("client") else "unknown"


def _host_of(header: str) -> str | None:
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname if parts.hostname and parts.netloc == header and not parts.username else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
