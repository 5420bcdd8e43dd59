"""Who asks, and what they may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from starlette.requests import HTTPConnection

from dermquery.serve.settings import Scope

__all__ = ["NOT_ALLOWED", "Principal", "RefusedError", "Scope", "check_scope", "principal_of", "require", "wider"]

NOT_ALLOWED = "Not allowed"

Method = Literal["open", "key", "oidc", "session"]
_RANK: dict[Scope, int] = {"read": 0, "write": 1, "admin": 2}


@dataclass(frozen=True)
class Principal:
    """Somebody who may ask.

    Attributes:
        name: as the audit log has it: a person's name, a key's name, the claim of a token.
        scopes: what they may do, with all that a scope includes.
        method: how they showed who they are; "open" is this machine's own user without any authentication.
    """

    name: str
    scopes: frozenset[Scope]
    method: Method

    def may(self, scope: Scope) -> bool:
        """Whether the scope is among theirs."""
        return scope in self.scopes


class RefusedError(Exception):
    """A request that is not allowed; becomes an RFC 9457 problem.

    Attributes:
        status: 401, 403, …
        title: short and the same for all of its kind.
        detail: what was wrong here, and what to do.
        headers: of the answer.
    """

    def __init__(self, status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, headers or {}


def wider(scopes: set[Scope] | frozenset[Scope] | tuple[Scope, ...]) -> frozenset[Scope]:
    """Scopes with those that they include: admin ⊃ write ⊃ read."""
    top = max((_RANK[scope] for scope in scopes), default=-1)
    return frozenset(scope for scope, rank in _RANK.items() if rank <= top)


def principal_of(connection: HTTPConnection) -> Principal:
    """Who asks, for requests and websockets; the middleware of :func:`dermquery.serve.security.install` found out.

    Raises:
        RefusedError: nobody (401).
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
    """A FastAPI dependency that gives the principal, and refuses those without the scope (403)."""

    async def dependency(connection: HTTPConnection) -> Principal:
        principal = principal_of(connection)
        check_scope(principal, scope)
        return principal

    return dependency


def check_scope(principal: Principal, scope: Scope) -> None:
    """Refuse somebody without a scope.

    Raises:
        RefusedError: they do not have it (403).
    """
    if not principal.may(scope):
        raise RefusedError(
            403,
            NOT_ALLOWED,
            f"This needs the scope {scope!r}; {principal.name} has {', '.join(sorted(principal.scopes)) or 'none'}. "
            "An administrator can give it with: dermquery keys create, or dermquery users add.",
        )
