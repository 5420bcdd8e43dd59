"""Sessions of people who signed in: kept here, known to the browser by a random id in a cookie."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from dermquery.serve.security.identity import Principal
from dermquery.serve.security.users import User, UserFile

__all__ = ["Session", "Sessions", "cookie_name"]

_MOST, _MOST_OF_ONE = 10_000, 20


@dataclass
class Session:
    """Somebody who is signed in.

    Attributes:
        principal: who.
        csrf: what a form must send along; only pages of this session know it.
        began: when they signed in, in seconds of a monotonic clock.
        used: when they last did something.
        version: of their password; another one ends the session.
    """

    principal: Principal
    version: str
    began: float
    used: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))


class Sessions:
    """All sessions of this process; a restart ends them, and so do a new password and a removed person.

    Args:
        users: who exists, and with which scope.
        idle_seconds: a session that was not used for so long is over.
        absolute_seconds: a session is over then in any case.
    """

    def __init__(
        self, users: UserFile, idle_seconds: float, absolute_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._users, self._clock = users, clock
        self._idle, self._absolute = idle_seconds, absolute_seconds
        self._sessions: OrderedDict[str, Session] = OrderedDict()  # by hash of the id, the one used longest ago first
        self._lock = threading.Lock()

    def begin(self, name: str, user: User) -> str:
        """Make a session and return its id, for a cookie.

        Args:
            name: of the person.
            user: as they were when the password was checked; if it was changed since, the session does not hold.
        """
        now, session_id = self._clock(), secrets.token_urlsafe(32)
        session = Session(user.principal(name), user.changed.isoformat(), now, now)
        with self._lock:
            own = [key for key, other in self._sessions.items() if other.principal.name == name]
            for key in own[: max(0, len(own) - _MOST_OF_ONE + 1)]:
                del self._sessions[key]
            while len(self._sessions) >= _MOST:
                self._sessions.popitem(last=False)
            self._sessions[_key(session_id)] = session
        return session_id

    def find(self, session_id: str, *, touch: bool = True) -> Session | None:
        """The session of an id if it still holds; ``touch`` counts as use of it."""
        key = _key(session_id)
        with self._lock:
            session = self._sessions.get(key)
            if session is None:
                return None
            now, user = self._clock(), self._users.get(session.principal.name)
            over = now - session.used > self._idle or now - session.began > self._absolute
            if over or user is None or user.changed.isoformat() != session.version:
                del self._sessions[key]
                return None
            session.principal = user.principal(session.principal.name)
            if touch:
                session.used = now
                self._sessions.move_to_end(key)
            return session

    def end(self, session_id: str) -> None:
        """Sign out."""
        with self._lock:
            self._sessions.pop(_key(session_id), None)


def cookie_name(*, secure: bool) -> str:
    """``__Host-`` binds a cookie to HTTPS, this host and no other path; a browser refuses it over plain HTTP."""
    return "__Host-dermquery" if secure else "dermquery-session"


def _key(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()  # so that a look-up leaks no prefix of an id by its time
