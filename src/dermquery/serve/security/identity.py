"""The principal of a request, and what it may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from fastapi.dependencies.models import Dependant
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse

from dermquery.serve.settings import Scope

__all__ = [
    "NOT_ALLOWED",
    "Principal",
    "RefusedError",
    "Scope",
    "check_scope",
    "not_in_order",
    "principal_of",
    "require",
    "required",
    "wider",
]

NOT_ALLOWED = "Not allowed"
_SCOPE = "scope"

Method = Literal["open", "key", "oidc", "session"]
_RANK: dict[Scope, int] = {"read": 0, "write": 1, "admin": 2}


@dataclass(frozen=True)
class Principal:
    """Somebody who may use the service.

    Attributes:
        name: a person's name, a key's name, or the claim of a token; the audit log shows it.
        scopes: what they may do, with all that a scope includes.
        method: how they signed in; "open" is the local user where no authentication is set up.
        browser: names the browser, by a cookie of the page; empty for a program. What a person asks stays in the
            browser in which they asked it.
    """

    name: str
    scopes: frozenset[Scope]
    method: Method
    browser: str = field(default="", compare=False)

    def may(self, scope: Scope) -> bool:
        """Whether they have a scope."""
        return scope in self.scopes


class RefusedError(Exception):
    """The service refuses a request; the answer is an RFC 9457 problem.

    Attributes:
        status: 401, 403, …
        title: short, and the same for every refusal of a kind.
        detail: what was wrong here, and what to do.
        headers: of the answer.
    """

    def __init__(self, status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, headers or {}

    def answer(self) -> JSONResponse:
        """The problem, like all errors of the service."""
        from dermquery.serve.errors import problem  # late: it loads the store, which `dermquery keys` does not need

        return problem(self.status, self.title, self.detail, headers=self.headers)


def not_in_order() -> RefusedError:
    """The refusal while accounts cannot be read or the log cannot be written; only our own log has the cause."""
    said = "Accounts cannot be read, or the audit log cannot be written; the service's log says why."
    return RefusedError(503, "Not in order", said, {"Retry-After": "60"})


def wider(scopes: set[Scope] | frozenset[Scope] | tuple[Scope, ...]) -> frozenset[Scope]:
    """Scopes together with those that they include: admin ⊃ write ⊃ read."""
    top = max((_RANK[scope] for scope in scopes), default=-1)
    return frozenset(scope for scope, rank in _RANK.items() if rank <= top)


def principal_of(connection: HTTPConnection) -> Principal:
    """The principal of a request, as :class:`~.guard.Guard` found it.

    Raises:
        RefusedError: nobody is signed in (401).
    """
    principal = getattr(connection.state, "principal", None)
    if not isinstance(principal, Principal):
        raise RefusedError(
            401,
            "Sign in first",
            "Send an API key or a token as 'Authorization: Bearer …', or sign in at /sign-in.",
            {"WWW-Authenticate": "Bearer"},
        )
    return principal


def require(scope: Scope) -> Callable[[HTTPConnection], Awaitable[Principal]]:
    """A FastAPI dependency that returns the principal and refuses those without the scope (403)."""

    async def dependency(connection: HTTPConnection) -> Principal:
        principal = principal_of(connection)
        check_scope(principal, scope)
        return principal

    vars(dependency)[_SCOPE] = scope
    return dependency


def required(dependant: Dependant) -> frozenset[Scope]:
    """The scopes that a route's dependencies require."""
    own = vars(dependant.call).get(_SCOPE) if hasattr(dependant.call, "__dict__") else None
    found = [frozenset[Scope]({own} if own else ()), *map(required, dependant.dependencies)]
    return frozenset[Scope]().union(*found)


def check_scope(principal: Principal, scope: Scope) -> None:
    """Refuse a principal without a scope.

    Raises:
        RefusedError: the principal lacks it (403).
    """
    if not principal.may(scope):
        raise RefusedError(
            403,
            NOT_ALLOWED,
            f"This needs the scope {scope!r}; {principal.name} has {', '.join(sorted(principal.scopes)) or 'none'}. "
            "An administrator can give it with: dermquery keys create, or dermquery users add.",
        )
