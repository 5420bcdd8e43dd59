"""One browser told from another, also where nobody signs in: what is asked in one is not seen in another."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from dermquery.serve.security.addresses import is_secure
from dermquery.serve.security.identity import Principal

__all__ = ["BROWSER_COOKIE", "browser_of", "give_cookie", "name_browser"]

BROWSER_COOKIE = "dermquery-browser"
_NAME = re.compile(r"[A-Za-z0-9_-]{32}")


def browser_of(cookies: Mapping[str, str]) -> str:
    """The name of the browser that sent cookies; empty without one of ours."""
    name = cookies.get(BROWSER_COOKIE, "")
    return name if _NAME.fullmatch(name) else ""


def name_browser(request: Request, principal: Principal, response: Response) -> None:
    """Give a browser that has no name one; it keeps it until it is closed."""
    if not principal.browser:
        path = f"{request.scope.get('root_path', '')}/"
        give_cookie(request, response, BROWSER_COOKIE, secrets.token_urlsafe(24), path)


def give_cookie(
    request: Request, response: Response, name: str, value: str, path: str = "/", seconds: int | None = None,
    within: Literal["lax", "strict"] = "lax",
) -> None:  # fmt: skip
    """Set a cookie that scripts cannot read, until the browser is closed or for some seconds."""
    secure = is_secure(request.scope)
    response.set_cookie(name, value, max_age=seconds, path=path, secure=secure, httponly=True, samesite=within)
