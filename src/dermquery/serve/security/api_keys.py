"""API keys: 256 random bits, of which the file holds a hash only."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dermquery.serve.security.identity import Principal, Scope, wider
from dermquery.serve.security.secret_files import Entry, SecretFile

__all__ = ["ApiKey", "KeyFile"]

_FORM = re.compile(r"dq_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}")


class ApiKey(Entry):
    """A key in the file.

    Attributes:
        name: of its holder, for the audit log.
        scope: what it may do, with all that the scope includes.
        sha256: hash of its secret. Passwords need a slow hash; nobody can guess 256 random bits, so SHA-256 is as safe
            and costs microseconds a request.
        created: when it was made.
        expires: when it stops being valid; None for never.
    """

    name: str
    scope: Scope
    sha256: str
    created: datetime
    expires: datetime | None = None

    def valid(self, now: datetime) -> bool:
        """Whether the key has not expired."""
        return self.expires is None or now < self.expires


class KeyFile:
    """The keys of a service by their public ids, in ``keys.json`` of its state folder."""

    def __init__(self, path: Path) -> None:
        self._file = SecretFile(path, ApiKey)

    def list(self) -> Mapping[str, ApiKey]:
        """All keys, expired ones too; the same object until the file changes."""
        return self._file.entries()

    def create(self, name: str, scope: Scope, days: float | None = None) -> str:
        """Make a key and return it; this is the only time that anybody sees it whole.

        Raises:
            ValueError: the name has characters other than letters, digits, space and ``._@-``, or has a valid key.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a key; use up to 64 letters, digits, spaces and . _ @ -")
        now = datetime.now(UTC)
        with self._file.changing() as keys:
            if any(key.name == name and key.valid(now) for key in keys.values()):
                raise ValueError(
                    f"there is a key {name!r}; renew it with: dermquery keys rotate, or choose another name"
                )
            return _add(keys, name, scope, None if days is None else now + timedelta(days=days))

    def rotate(self, named: str, grace: timedelta = timedelta(days=1), days: float | None = None) -> str:
        """Make a successor with the same name and scope, and let the old key expire after ``grace``.

        Args:
            named: id or name.
            grace: how long the old key stays valid while people switch to the new one.
            days: how long the new key is valid; None for as long as the old one was, or for ever.

        Raises:
            ValueError: no valid key has that id or name.
        """
        now = datetime.now(UTC)
        with self._file.changing() as keys:
            key_id = _find(keys, named, now)
            old = keys[key_id]
            if days is not None:
                expires: datetime | None = now + timedelta(days=days)
            else:
                expires = None if old.expires is None else now + (old.expires - old.created)
            end = now + grace
            keys[key_id] = old.model_copy(update={"expires": end if old.expires is None else min(end, old.expires)})
            return _add(keys, old.name, old.scope, expires)

    def revoke(self, named: str) -> Sequence[str]:
        """Remove a key by its id, or all of a name; returns their ids.

        Raises:
            ValueError: no such key.
        """
        with self._file.changing() as keys:
            ids = [key_id for key_id, key in keys.items() if named in (key_id, key.name)]
            if not ids:
                raise ValueError(f"there is no key {named!r}; list them with: dermquery keys list")
            for key_id in ids:
                del keys[key_id]
        return ids

    def principal(self, key: str) -> Principal | None:
        """The holder of a key; None if it is malformed, wrong or expired. Compares secrets in constant time."""
        match = _FORM.fullmatch(key)
        if match is None:
            return None
        found = self._file.entries().get(match[1])
        right = hmac.compare_digest(_hash(match[2]), found.sha256 if found else _hash(""))
        if found is None or not right or not found.valid(datetime.now(UTC)):
            return None
        return Principal(found.name, wider((found.scope,)), "key")


def _add(keys: dict[str, ApiKey], name: str, scope: Scope, expires: datetime | None) -> str:
    secret, key_id = secrets.token_urlsafe(32), secrets.token_hex(6)
    keys[key_id] = ApiKey(name=name, scope=scope, sha256=_hash(secret), created=datetime.now(UTC), expires=expires)
    return f"dq_{key_id}_{secret}"


def _find(keys: dict[str, ApiKey], named: str, now: datetime) -> str:
    found = [key_id for key_id, key in keys.items() if named in (key_id, key.name) and key.valid(now)]
    if not found:
        raise ValueError(f"there is no valid key {named!r}; list them with: dermquery keys list")
    return max(found, key=lambda key_id: keys[key_id].created)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
