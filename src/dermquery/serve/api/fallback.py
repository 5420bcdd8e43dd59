"""Unknown addresses of the API: a problem, and never the page, which answers every other address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Never

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from dermquery.serve.security.paths import path_of

__all__ = ["router"]

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
_ADDRESSES = ("/api/{rest:path}", "/healthz", "/readyz", "/metrics")


def router(routers: Sequence[APIRouter]) -> APIRouter:
    """Routes that answer 404, or 405 where another method exists; include them after the others."""
    routes = [route for one in routers for route in one.routes if isinstance(route, APIRoute)]
    made = APIRouter()

    async def nothing(request: Request) -> Never:
        path = path_of(request.scope)
        allowed = sorted({method for route in routes if route.path_regex.match(path) for method in route.methods or ()})
        if allowed:
            raise HTTPException(405, headers={"Allow": ", ".join(allowed)})
        raise HTTPException(404)

    for address in _ADDRESSES:
        made.add_api_route(address, nothing, methods=_METHODS, include_in_schema=False, response_model=None)
    return made
