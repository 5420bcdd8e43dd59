"""Case ids in URLs: any letters, even slashes and dots, in one percent-encoded segment."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from fastapi import Path
from pydantic import AfterValidator
from starlette.types import Receive, Scope, Send

from dermquery.serve.api.schemas import PREFIX
from dermquery.serve.layer import Layer

__all__ = ["ROUTED", "CaseIdPath", "RawPaths"]

ROUTED = "dermquery.routed"
"""Key of the scope under which an outer layer finds the template of the route."""


class RawPaths(Layer):
    """Routes the API by the path as sent, so that an encoded slash in an id separates nothing.

    The innermost layer: those around it see the decoded path, as usual. A parameter's type decodes it, once.
    """

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        if raw and scope["path"].startswith(f"{scope.get('root_path', '')}{PREFIX}/"):
            sent = raw.partition(b"?")[0].decode("latin-1")
            if sent.startswith(f"{scope.get('root_path', '')}{PREFIX}/"):
                scope["path"] = sent
        try:
            await self._app(scope, receive, send)
        finally:
            if ROUTED in scope:
                scope[ROUTED]["path"] = getattr(scope.get("route"), "path", "none")


def _decoded(segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 in percent-encoding") from error


CaseIdPath = Annotated[
    str,
    Path(
        description="Id of a case, percent-encoded as one segment (a slash is %2F).",
        min_length=1,
        max_length=2000,
        examples=["clinic%2F2024-17"],
    ),
    AfterValidator(_decoded),
]
