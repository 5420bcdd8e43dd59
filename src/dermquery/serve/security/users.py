"""People who sign in at the page, with argon2id hashes of their passwords."""

from __future__ import annotations

import functools
import re
import secrets
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dermquery.serve.security.identity import Principal, Scope, wider
from dermquery.serve.security.secret_files import Entry, SecretFile

__all__ = ["SHORTEST_PASSWORD", "User", "UserFile", "prepare_nobody"]

SHORTEST_PASSWORD = 12
_LONGEST_PASSWORD = 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASHER = PasswordHasher()  # RFC 9106's second choice: 64 MiB, three passes, four lanes
_AT_ONCE = threading.BoundedSemaphore(2)  # of those 64 MiB


class User(Entry):
    """A person in the file.

    Attributes:
        scope: what they may do, with all that the scope includes.
        password: argon2id hash.
        changed: when the password was set, which ended all earlier sessions.
    """

    scope: Scope
    password: str
    changed: datetime

    def principal(self, name: str) -> Principal:
        """The principal of their session."""
        return Principal(name, wider((self.scope,)), "session")


class UserFile:
    """The people of a service by name, in ``users.json`` of its state folder."""

    def __init__(self, path: Path) -> None:
        self._file = SecretFile(path, User)

    def list(self) -> Mapping[str, User]:
        """All people; the same object until the file changes."""
        return self._file.entries()

    def get(self, name: str) -> User | None:
        """The person of that name."""
        return self._file.entries().get(name)

    def add(self, name: str, scope: Scope, password: str) -> None:
        """Add a person.

        Raises:
            ValueError: the name exists or has characters other than letters, digits and ``._@-``, or the password is
                too short or too long.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name to sign in with; use up to 64 letters, digits and . _ @ -")
        user = User(scope=scope, password=_hash(password), changed=datetime.now(UTC))
        with self._file.changing() as users:
            if name in users:
                raise ValueError(f"{name!r} is there already; set a new password with: dermquery users passwd {name}")
            users[name] = user

    def set_password(self, name: str, password: str) -> None:
        """Give somebody a new password; their sessions end.

        Raises:
            ValueError: nobody has that name, or the password is too short or too long.
        """
        hashed = _hash(password)
        with self._file.changing() as users:
            users[name] = _existing(users, name).model_copy(update={"password": hashed, "changed": datetime.now(UTC)})

    def remove(self, name: str) -> None:
        """Remove a person; their sessions end.

        Raises:
            ValueError: nobody has that name.
        """
        with self._file.changing() as users:
            _existing(users, name)
            del users[name]

    def check(self, name: str, password: str) -> User | None:
        """The person, if name and password are right; an unknown name takes as long as a wrong password."""
        user = self.get(name)
        with _AT_ONCE:
            try:
                _HASHER.verify(user.password if user else prepare_nobody(), password[:_LONGEST_PASSWORD])
            except (VerificationError, InvalidHashError):
                return None
        return user


@functools.cache
def prepare_nobody() -> str:
    """A hash of an unknown password. Make it early, or the first unknown name takes twice as long."""
    return _HASHER.hash(secrets.token_urlsafe(32))


def _hash(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise ValueError(
            f"the password is too short; use {SHORTEST_PASSWORD} characters or more, a sentence for example"
        )
    if len(password) > _LONGEST_PASSWORD:
        raise ValueError(f"the password is too long; use at most {_LONGEST_PASSWORD} characters")
    return _HASHER.hash(password)


def _existing(users: dict[str, User], name: str) -> User:
    if name not in users:
        raise ValueError(f"there is nobody called {name!r}; list them with: dermquery users list")
    return users[name]
