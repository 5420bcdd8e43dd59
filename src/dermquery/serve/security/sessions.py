"""Sessions of people who signed in: in this process, with a random id in the browser's cookie."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dermquery.serve.kept import Kept
from dermquery.serve.security.identity import Principal
from dermquery.serve.security.users import User, UserFile

__all__ = ["Session", "Sessions", "cookie_name"]


@dataclass
class Session:
    """Somebody who is signed in.

    Attributes:
        principal: who.
        version: of their password; a new password ends the session.
        csrf: token that forms must send; only pages of this session know it.
    """

    principal: Principal
    version: str
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))


class Sessions:
    """All sessions of this process. A restart ends them, as do a new password and the removal of the person.

    They end after ``idle_seconds`` without use, and after ``absolute_seconds`` in any case.
    """

    def __init__(
        self, users: UserFile, idle_seconds: float, absolute_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._users = users
        self._sessions = Kept[str, Session](  # by hash of the id
            10_000, idle=idle_seconds, lifetime=absolute_seconds, clock=clock,
            most_each=20, owner=lambda session: session.principal.name,
        )  # fmt: skip

    def begin(self, name: str, user: User) -> str:
        """Make a session and return its id, for a cookie.

        ``user`` is as when the password was checked; if that has changed since, the session is not valid.
        """
        session_id = secrets.token_urlsafe(32)
        self._sessions.put(_key(session_id), Session(user.principal(name), user.changed.isoformat()))
        return session_id

    def find(self, session_id: str, *, touch: bool = True) -> Session | None:
        """The session of an id, or None if there is none any more; ``touch`` counts as use of it."""
        key = _key(session_id)
        session = self._sessions.get(key, touch=touch)
        if session is None:
            return None
        user = self._users.get(session.principal.name)
        if user is None or user.changed.isoformat() != session.version:
            self._sessions.pop(key)
            return None
        session.principal = user.principal(session.principal.name)
        return session

    def end(self, session_id: str) -> None:
        """Sign out."""
        self._sessions.pop(_key(session_id))


def cookie_name(*, secure: bool) -> str:
    """``__Host-`` binds a cookie to HTTPS, this host and no other path; a browser refuses it over plain HTTP."""
    return "__Host-dermquery" if secure else "dermquery-session"


def _key(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()  # so that the time of a look-up tells nothing about an id
