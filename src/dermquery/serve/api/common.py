"""What the routes share: principal, service, descriptions of problems, and clients that disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request, Response, Security, UploadFile, params
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import BeforeValidator
from starlette.requests import ClientDisconnect

from dermquery.data.image import ImageError
from dermquery.serve.errors import MEDIA_TYPE
from dermquery.serve.security.identity import (
    Principal,
    RefusedError,
    Scope,
    check_scope,
    principal_of,
    require,
    required,
)
from dermquery.serve.service import SearchService
from dermquery.store.protocol import StoredCase
from dermquery.store.where import Written

__all__ = [
    "Call",
    "Handler",
    "Reading",
    "ScopedRoute",
    "SmallJson",
    "Writing",
    "call_of",
    "named",
    "owner_of",
    "png",
    "problems",
    "signed",
    "small_json",
]

R = TypeVar("R")
C = TypeVar("C", bound="Call")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_NAME_SHOWN = 200
_JSON_BYTES, _JSON_VALUES = 4 << 20, 20_000

_KEY = APIKeyHeader(name="X-API-Key", scheme_name="ApiKey", description="A key of `dermquery keys`.", auto_error=False)
_BEARER = HTTPBearer(scheme_name="Bearer", description="A key, or a token of the identity provider.", auto_error=False)
signed = [Security(_KEY), Security(_BEARER)]
"""Dependencies that only describe how to sign in; the guard of :mod:`dermquery.serve.security` checks it."""


def owner_of(who: Principal) -> str:
    """The owner of a principal's prepared queries and images: the person, in one browser."""
    return f"{who.method} {who.name} {who.browser}".rstrip()


@dataclass(frozen=True, eq=False)
class Call:
    """One request: what it is, and who asks."""

    request: Request
    who: Principal

    @property
    def service(self) -> SearchService:
        """What answers."""
        return cast("SearchService", self.request.app.state.service)

    @property
    def owner(self) -> str:
        """The owner of what is asked here."""
        return owner_of(self.who)

    @property
    def root(self) -> str:
        """The path under which a proxy shows the service."""
        return str(self.request.scope.get("root_path", ""))

    def log(self, event: str, **facts: Any) -> None:
        """Log what they do, before they see what comes of it."""
        self.request.app.state.audit.write(event, self.who, **facts)

    def sees(self, what: str, case_ids: Iterable[str], **facts: Any) -> None:
        """Log who sees which cases, before they see them."""
        self.log("view", cases=list(case_ids), what=what, **facts)

    def page(self, where: Written, after: str | None, limit: int) -> tuple[list[StoredCase], str | None]:
        """Cases by id, from the first after one on, and after which the next page begins; logs who sees them."""
        rows = self.service.cases(where, after, limit + 1)
        shown, last = rows[:limit], len(rows) <= limit
        self.sees("list", (row.case.case_id for row in shown))
        return shown, None if last else shown[-1].case.case_id

    async def wait(self, work: Coroutine[Any, Any, R]) -> R:
        """Wait for work as long as the client does; if it leaves, its place in the line is free again.

        Raises:
            ClientDisconnect: the client has left.
        """
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(self.request))
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ClientDisconnect
            return task.result()
        finally:
            gone.cancel()
            task.cancel()

    async def see(self, what: str, case_id: str, work: Callable[[str], R]) -> R:
        """Read something of one case, and log that they see it."""

        def seen() -> R:
            found = work(case_id)
            self.log("view", case=case_id, what=what)
            return found

        return await self.read(seen)

    async def read(self, work: Callable[..., R], *arguments: Any) -> R:
        """The same in the line of readers."""
        return await self.wait(self.service.readers.call(work, *arguments))


async def _gone(request: Request) -> None:
    """Return when the client has disconnected; read the body before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def call_of(kind: type[C], scope: Scope) -> Callable[..., Coroutine[Any, Any, C]]:
    """A dependency: the call of somebody who has a scope."""

    async def dependency(request: Request, who: Principal = Depends(require(scope))) -> C:
        return kind(request, who)

    return dependency


Reading = Annotated[Call, Depends(call_of(Call, "read"))]
"""A request of somebody who may read."""
Writing = Annotated[Call, Depends(call_of(Call, "write"))]
"""A request of somebody who may write."""


def small_json(body: bytes | str) -> bytes | str:
    """JSON that is taken apart and checked in a moment; while it is, nobody else is answered.

    Raises:
        ValueError: it has too many bytes, or too many values.
    """
    written = body if isinstance(body, bytes) else body.encode(errors="replace") if isinstance(body, str) else b""
    if len(written) > _JSON_BYTES or sum(map(written.count, (b",", b":", b"[", b"{"))) > _JSON_VALUES:
        raise ValueError(
            f"JSON may have {_JSON_BYTES >> 20} MiB and about {_JSON_VALUES // 2:,} values; ask for less at once"
        )
    return body


SmallJson = BeforeValidator(small_json)
"""Before :class:`pydantic.Json` in a form."""


class ScopedRoute(APIRoute):
    """A route that refuses who lacks its scope before their body is read; FastAPI reads it before the dependencies.

    It also refuses JSON that would take long to take apart.
    """

    def get_route_handler(self) -> Handler:
        handle, scopes = self.reading(super().get_route_handler()), required(self.dependant)

        async def checked(request: Request) -> Response:
            for scope in scopes:
                check_scope(principal_of(request), scope)
            if self.body_field is not None and not isinstance(self.body_field.field_info, params.Form):
                try:
                    small_json(await request.body())
                except ValueError as error:
                    raise RefusedError(413, "Too large", f"{error}.") from error
            return await handle(request)

        return checked

    def reading(self, handle: Handler) -> Handler:
        """What reads the body and answers; a kind of route may check more before."""
        return handle


_MEANINGS = {
    400: "The body cannot be taken apart as JSON or as a form.",
    401: "Nobody is signed in.",
    403: "The principal's scope does not allow it.",
    404: "There is no such thing, or not any more.",
    409: "It cannot be done in the state that things are in.",
    413: "The body is larger than the server takes.",
    422: "Something that was sent cannot be used; the detail says what, and what to do.",
    429: "Too many requests; Retry-After says when to come back.",
    503: "The server is busy, or the base cannot be reached; Retry-After says when to come back.",
}
_ALWAYS = (401, 403, 429, 503)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Descriptions of the problems of a route, together with those that every route has."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    retry = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}}
    found: dict[int | str, dict[str, Any]] = {
        status: {"description": _MEANINGS.get(status, HTTPStatus(status).phrase), "content": content}
        for status in sorted({*statuses, *_ALWAYS})
    }
    for status in (429, 503):
        found[status]["headers"] = retry
    return found


def png(description: str) -> dict[str, Any]:
    """Description of a PNG answer."""
    return {"description": description, "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}


@contextmanager
def named(upload: UploadFile | None) -> Iterator[None]:
    """Let an error about an image call it by the name of the file that was sent."""
    try:
        yield
    except ImageError as error:
        raise error.called((upload.filename or "")[:_NAME_SHOWN] if upload else None) from error
