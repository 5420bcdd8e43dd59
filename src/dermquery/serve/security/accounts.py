"""Finds the principal of a request by key, token or session, or the local user where nothing is set up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import HTTPConnection

from dermquery.serve.security.addresses import is_secure
from dermquery.serve.security.api_keys import ApiKey, KeyFile
from dermquery.serve.security.identity import Principal, RefusedError, wider
from dermquery.serve.security.oidc import TokenChecker
from dermquery.serve.security.sessions import Session, Sessions, cookie_name
from dermquery.serve.security.users import User, UserFile
from dermquery.serve.settings import ServeSettings

__all__ = ["NOT_ACCEPTED", "Accounts"]

NOT_ACCEPTED = "Not accepted"
_LOCAL = Principal("local", wider(("admin",)), "open")


class Accounts:
    """The accounts of a service; changes of their files take effect at once.

    Attributes:
        users: people who may sign in.
        sessions: of people who signed in.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._settings, self._keys = settings, KeyFile(settings.keys_file)
        self._tokens = TokenChecker(settings.oidc) if settings.oidc else None
        self.users = UserFile(settings.users_file)
        self.sessions = Sessions(self.users, settings.session_idle_minutes * 60, settings.session_hours * 3600)
        self._open = True
        self._known = (self._keys.list(), self.users.list())
        self.is_open()  # what is set up at the start counts, even if it disappears before the first anonymous request

    def is_open(self) -> bool:
        """Whether the local user needs no authentication. Once any is set up, this stays False."""
        self._open = self._open and not (self._settings.oidc or self._keys.list() or self.users.list())
        return self._open

    def find(self, connection: HTTPConnection, *, touch: bool = True) -> tuple[Principal | None, Session | None]:
        """Who asks, and their session if they signed in at the page; a key or token goes before a cookie.

        ``touch`` counts as use of the session.

        Raises:
            RefusedError: the key or token is not accepted (401).
        """
        if credentials := _credentials(connection):
            principal = self._keys.principal(credentials) or (self._tokens and self._tokens.principal(credentials))
            if not principal:
                raise RefusedError(
                    401,
                    NOT_ACCEPTED,
                    "The key or token is wrong, was revoked or has expired. Ask for a new one: dermquery keys create.",
                    {"WWW-Authenticate": 'Bearer error="invalid_token"'},
                )
            return principal, None
        session_id = connection.cookies.get(cookie_name(secure=is_secure(connection.scope)), "")
        session = self.sessions.find(session_id, touch=touch)
        if session is not None:
            return session.principal, session
        return (_LOCAL if self.is_open() else None), None

    def summary(self) -> dict[str, Any]:
        """The accounts, for the audit log."""
        keys, users = self._known
        return {
            "keys": {key_id: f"{key.name} ({key.scope})" for key_id, key in keys.items()},
            "users": {name: user.scope for name, user in users.items()},
            "issuer": self._settings.oidc.issuer if self._settings.oidc else None,
        }

    def changes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Changes of the files since the last call, as events of the audit log."""
        (keys, users), self._known = self._known, (self._keys.list(), self.users.list())
        self.is_open()  # here, because a request with a key does not ask for it
        yield from _changes("key", keys, self._known[0])
        yield from _changes("user", users, self._known[1])


def _changes(
    kind: str, before: Mapping[str, ApiKey] | Mapping[str, User], now: Mapping[str, ApiKey] | Mapping[str, User]
) -> Iterator[tuple[str, dict[str, Any]]]:
    if before is now:
        return
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            what = "removed" if name not in now else "made" if name not in before else "changed"
            entry = now.get(name) or before[name]
            yield f"{kind}-{what}", {kind: name, "name": getattr(entry, "name", name), "scope": entry.scope}


def _credentials(connection: HTTPConnection) -> str | None:
    """The value of ``Authorization: Bearer`` or ``X-API-Key``."""
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or "none"
    return connection.headers.get("x-api-key")
