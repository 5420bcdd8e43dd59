"""One browser told from another, also where nobody signs in: what is asked in one is not seen in another."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from dermquery.serve.security.addresses import is_secure
from dermquery.serve.security.identity import Principal

__all__ = ["BROWSER_COOKIE", "browser_of", "name_browser"]

BROWSER_COOKIE = "dermquery-browser"
_NAME = re.compile(r"[A-Za-z0-9_-]{32}")


def browser_of(cookies: Mapping[str, str]) -> str:
    """The name of the browser that sent cookies; empty without one of ours."""
    name = cookies.get(BROWSER_COOKIE, "")
    return name if _NAME.fullmatch(name) else ""


def name_browser(request: Request, principal: Principal, response: Response) -> None:
    """Give a browser that has no name one; it keeps it until it is closed."""
    if not principal.browser:
        response.set_cookie(
            BROWSER_COOKIE,
            secrets.token_urlsafe(24),
            path=f"{request.scope.get('root_path', '')}/",
            secure=is_secure(request.scope),
            httponly=True,
            samesite="lax",
        )
