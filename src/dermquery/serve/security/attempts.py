"""Wrong passwords slow down whoever tries them, and nobody else.

A lock on a name alone is a weapon: ten wrong passwords keep its owner out. So attempts are counted for a name *and* an
address; a browser in which somebody has signed in before carries a mark, and is counted by itself. What is left to
somebody behind many addresses is bounded by a count over all of them, which does not concern browsers with a mark.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from dermquery.serve.kept import Kept
from dermquery.serve.security.users import User

__all__ = ["Attempts", "mark_of", "marked"]

_FREE, _FREE_ADDRESS, _FREE_NAME = 10, 30, 200
"""Wrong passwords without a delay: for a name from an address, from an address, for a name from anywhere."""
_LONGEST, _LONGEST_SHARED = 900.0, 30.0
"""Seconds of the longest delay for a name at an address or a browser, and for what several people share."""
_FORGOTTEN = 3600.0
_MOST = 20_000


class Attempts:
    """Counts wrong passwords; after some the next one has to wait, for twice as long each time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed = Kept[str, tuple[int, float]](_MOST, idle=_FORGOTTEN, clock=clock)  # how many, and the last

    def begin(self, name: str, address: str, browser: str | None) -> float:
        """Count an attempt as failed and return 0; or count nothing and return the seconds that it has to wait.

        Counted before the password is checked, so that many at once gain nothing; :meth:`succeeded` takes it back.

        Args:
            name: that is tried.
            address: of the client.
            browser: its mark, if it has a right one for this name.
        """
        with self._failed.lock:
            kinds = _kinds(name, address, browser)
            if wait := max(self._wait(*kind) for kind in kinds):
                return wait
            for key, _, _ in kinds:
                n, _last = self._failed.get(key, touch=False) or (0, 0.0)
                self._failed.put(key, (n + 1, self._clock()))
            return 0.0

    def succeeded(self, name: str, address: str, browser: str | None) -> None:
        """Take back what :meth:`begin` counted; for the name at this address, and for this browser, forget all."""
        with self._failed.lock:
            for at, (key, _, _) in enumerate(_kinds(name, address, browser)):
                n, last = self._failed.get(key, touch=False) or (1, 0.0)
                if at == 0 or n <= 1:
                    self._failed.pop(key)
                else:
                    self._failed.put(key, (n - 1, last))

    def _wait(self, key: str, free: int, longest: float) -> float:
        n, last = self._failed.get(key, touch=False) or (0, 0.0)
        if n < free:
            return 0.0
        delay = min(2.0 ** min(n - free, 30), longest)
        return max(0.0, last + delay - self._clock())


def _kinds(name: str, address: str, browser: str | None) -> list[tuple[str, int, float]]:
    if browser is not None:
        return [(f"browser {browser}", _FREE, _LONGEST)]
    return [
        (f"name {name} at {address}", _FREE, _LONGEST),
        (f"address {address}", _FREE_ADDRESS, _LONGEST_SHARED),
        (f"name {name}", _FREE_NAME, _LONGEST_SHARED),
    ]


def mark_of(name: str, user: User) -> str:
    """A mark for a browser in which somebody has just signed in; it is worth nothing after a new password."""
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{_sealed(name, nonce, user)}"


def marked(mark: str, name: str, user: User | None) -> str | None:
    """What names the browser if its mark is right for this person."""
    nonce, _, seal = mark.partition(".")
    if user is None or not nonce or not hmac.compare_digest(seal.encode(), _sealed(name, nonce, user).encode()):
        return None
    return nonce


def _sealed(name: str, nonce: str, user: User) -> str:
    """The password's hash is the key: it is secret, random by its salt, and changes with the password."""
    return hmac.new(user.password.encode(), f"browser {name} {nonce}".encode(), hashlib.sha256).hexdigest()
