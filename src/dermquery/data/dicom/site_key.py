"""The secret that pseudonyms are made with, one for a site: the same patient is the same pseudonym in every import.

Whoever has the key can find out by trying whose pseudonym one is, so it stays with the site, is never shown, and lies
in a file that only its owner reads. Without it, pseudonyms are of no use to anybody, and imports that follow would not
know the patients of those before: it belongs in the backup.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from dermquery.data.files import make_folder, sync
from dermquery.data.home import default_state

__all__ = ["SiteKey", "SiteKeyError", "default_site_key", "site_key"]

_BYTES = 32
_DAYS = 365


class SiteKeyError(ValueError):
    """The key cannot be used; the message says why, and the remedy, and not the key."""


def default_site_key() -> Path:
    """``dicom-site.key`` in the folder of :func:`~dermquery.data.home.default_state`."""
    return default_state() / "dicom-site.key"


@dataclass(frozen=True)
class SiteKey:
    """Makes pseudonyms by HMAC-SHA-256."""

    _secret: bytes = field(repr=False)

    def _digest(self, kind: str, value: str) -> bytes:
        return hmac.digest(self._secret, f"{kind}\0{value}".encode(errors="surrogateescape"), "sha256")

    def pseudonym(self, kind: str, value: str) -> str:
        """24 hexadecimal digits for a value; other ones for the same value of another kind."""
        return self._digest(kind, value).hex()[:24]

    def uid(self, value: str) -> str:
        """A UID for a UID, in the form of a UUID's (``2.25.…``)."""
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', value)[:16], version=4).int}"

    def days(self, patient: str) -> int:
        """By how many days a patient's dates are put back, 1 to 365; the days between them stay."""
        return 1 + int.from_bytes(self._digest("days", patient)[:8]) % _DAYS


def site_key(path: Path | None = None) -> SiteKey:
    """The key in a file, which is made with a new one if it is not there.

    Args:
        path: :func:`default_site_key` if None.

    Raises:
        SiteKeyError: it is no key, or others may read it.
    """
    path = path or default_site_key()
    try:
        if not path.exists():
            _made(path)
        if os.name != "nt" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SiteKeyError(f"{path}: others may read the site key; run: chmod 600 {path}")
        secret = bytes.fromhex(path.read_text(encoding="ascii"))
    except OSError as error:
        raise SiteKeyError(
            f"{path}: the site key cannot be read or made ({error.strerror}); name another file"
        ) from error
    except ValueError as error:
        if isinstance(error, SiteKeyError):
            raise
        secret = b""
    if len(secret) != _BYTES:
        raise SiteKeyError(f"{path}: not a site key ({2 * _BYTES} hexadecimal digits); restore it from the backup")
    return SiteKey(secret)


def _made(path: Path) -> None:
    make_folder(path.parent, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process was faster
        return
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(_BYTES) + "\n")
    sync([path, path.parent])
