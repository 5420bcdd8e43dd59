"""Protection against CSRF: which pages a browser may send requests from, by its own headers and by a token.

Current browsers send ``Sec-Fetch-Site`` over connections that they trust (HTTPS, or this machine), and ``Origin`` with
every request that may change something. A page can set neither.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from dermquery.serve.security.addresses import is_secure
from dermquery.serve.security.identity import RefusedError

__all__ = ["CSRF_FIELD", "CSRF_HEADER", "FOREIGN", "check_origin", "check_token"]

CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf"
FOREIGN = "Another origin"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_origin(scope: Scope, allowed: tuple[str, ...] = (), *, unsaid: bool = False) -> None:
    """Refuse requests that a browser sends for a foreign page.

    Args:
        scope: of a request.
        allowed: other origins that are accepted.
        unsaid: whether to accept requests that state no origin, as programs send them.

    Raises:
        RefusedError: the origin is foreign (403).
    """
    headers = Headers(scope=scope)
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return
    if origin is not None:
        good = origin.lower() in allowed or _origin(origin) == _own_origin(scope, headers)
    elif site is not None:  # a link on another site may open a page here, which changes nothing
        good = headers.get("sec-fetch-mode") == "navigate" and scope.get("method") in ("GET", "HEAD")
    else:
        good = unsaid
    if not good:
        raise RefusedError(
            403,
            FOREIGN,
            f"The request comes from {origin or site or 'an unknown origin'}, and the service is at "
            f"{headers.get('host', '')}. Use the service's own page, or an API key. Behind a TLS proxy: its address "
            "belongs in trusted_proxies, and it must pass on Host and X-Forwarded-Proto.",
        )


def check_token(expected: str, headers: Mapping[str, str], field: str | None = None) -> None:
    """Check the CSRF token of a header or of a form's field.

    Raises:
        RefusedError: the token is missing or wrong (403).
    """
    given = headers.get(CSRF_HEADER) or field or ""
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise RefusedError(
            403,
            "The form is out of date",
            f"The request lacks this session's token ({CSRF_HEADER} header, or the form's field). Reload the page and "
            "try again.",
        )


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
