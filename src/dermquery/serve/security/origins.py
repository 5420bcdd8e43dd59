"""Which hosts are served, which proxies are believed, and which pages a browser may ask from."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dermquery.serve.security.identity import RefusedError
from dermquery.serve.security.problems import refusal, refuse_socket
from dermquery.serve.settings import ServeSettings, is_loopback

__all__ = ["CSRF_HEADER", "KnownHosts", "Proxies", "check_origin", "check_token", "is_secure"]

CSRF_HEADER = "x-csrf-token"
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_FORWARDED = (b"forwarded", b"x-forwarded-")


class Proxies:
    """Takes the client's address and scheme from ``X-Forwarded-For`` and ``-Proto`` of trusted proxies.

    All such headers are removed then: nothing behind this looks at what a stranger claims.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app = app
        self._trusted = [ipaddress.ip_network(network) for network in settings.trusted_proxies]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = dict(scope)
            headers = Headers(scope=scope)
            peer = scope["client"][0] if scope.get("client") else None
            if self._believes(peer):
                address = self._client(headers.getlist("x-forwarded-for")) or peer
                scope["client"] = (address, 0)
                if headers.get("x-forwarded-proto", "").strip().lower() == "https":
                    scope["scheme"] = "wss" if scope["type"] == "websocket" else "https"
            scope["headers"] = [(name, value) for name, value in scope["headers"] if not name.startswith(_FORWARDED)]
        await self._app(scope, receive, send)

    def _client(self, forwarded: list[str]) -> str | None:
        """The last address that no trusted proxy has; what stands before it, the client may have made up."""
        addresses = [part.strip() for part in ",".join(forwarded).split(",") if part.strip()]
        for address in reversed(addresses):
            if not self._believes(address):
                return address if _is_address(address) else None
        return addresses[0] if addresses else None

    def _believes(self, address: str | None) -> bool:
        if address is None or not _is_address(address):
            return False
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._trusted)


class KnownHosts:
    """Refuses requests for another host: a name that an attacker points at this machine (DNS rebinding)."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._known = app, {settings.host.lower().strip("[]"), *settings.hosts}
        # Bound to all addresses nobody can say under which names one comes; those who come have to sign in.
        self._any = settings.host in ("0.0.0.0", "::", "") and not settings.hosts  # noqa: S104

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self._knows(Headers(scope=scope).getlist("host")):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await refuse_socket(send)
        else:
            named = ", ".join(Headers(scope=scope).getlist("host")) or "none"
            error = RefusedError(
                421,
                "Not served under this name",
                f"The Host header is {named!r}. Use the address that the service listens at, or add the name to hosts "
                "in the [serve] section of the configuration.",
            )
            await refusal(error)(scope, receive, send)

    def _knows(self, hosts: list[str]) -> bool:
        if len(hosts) != 1:
            return False
        name = _host_of(hosts[0])
        if name is None:
            return False
        return self._any or name in self._known or name == "localhost" or (_is_address(name) and is_loopback(name))


def check_origin(scope: Scope, allowed: tuple[str, ...] = ()) -> None:
    """Let a browser ask only from a page of ours.

    Args:
        scope: of a request that changes something, or of a websocket.
        allowed: other origins that may ask too.

    Raises:
        RefusedError: another origin, or nothing that says which (403).
    """
    headers = Headers(scope=scope)
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None:
        good = _origin(origin) == _own_origin(scope, headers) or origin.lower() in allowed
    else:
        good = site in ("same-origin", "none") if site is not None else False
    if not good:
        raise RefusedError(
            403,
            "Another origin",
            f"The request comes from {origin or site or 'an unknown origin'}, the service is at "
            f"{headers.get('host', '')}. Use the service's own page, or an API key. Behind a TLS proxy: its address "
            "belongs in trusted_proxies, and it must pass Host and X-Forwarded-Proto.",
        )


def came_from_elsewhere(scope: Scope, allowed: tuple[str, ...] = ()) -> bool:
    """Whether a browser says that another site's page asks; programs say nothing."""
    headers = Headers(scope=scope)
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None:
        return _origin(origin) != _own_origin(scope, headers) and origin.lower() not in allowed
    return site in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate"


def check_token(expected: str, headers: Mapping[str, str], field: str | None = None) -> None:
    """Compare the CSRF token of a header or of a form's field.

    Raises:
        RefusedError: none, or another one (403).
    """
    given = headers.get(CSRF_HEADER) or field or ""
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise RefusedError(
            403,
            "The form is out of date",
            f"The request lacks this session's token ({CSRF_HEADER} header, or the form's field). Reload the page and "
            "try again.",
        )


def is_secure(scope: Scope) -> bool:
    """Whether the client came over TLS, itself or by a trusted proxy."""
    return scope.get("scheme") in ("https", "wss")


def _own_origin(scope: Scope, headers: Headers) -> tuple[str, str, int] | None:
    return _origin(f"{'https' if is_secure(scope) else 'http'}://{headers.get('host', '')}")


def _origin(text: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.scheme not in _DEFAULT_PORTS:
        return None
    return parts.scheme, parts.hostname.lower(), port if port is not None else _DEFAULT_PORTS[parts.scheme]


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
