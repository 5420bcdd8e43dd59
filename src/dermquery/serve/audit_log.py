"""The audit log: who searched, viewed and changed what, and when.

The log only grows; each line holds the SHA-256 of the one before. A file is JSON lines, named after the number of its
first line, and the chain continues from file to file. ``head.json`` names a line that is certainly on disk, which shows
if lines are missing at the end. Whoever can write to the folder can rewrite all of it, so keep the hash that
:func:`verify` returns somewhere else.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dermquery.data.files import make_folder, move_unflushed, sync
from dermquery.serve.audit_chain import BEGIN, HEAD, BadLine, Verified, check, file_name, files_of, read_head, verify

if TYPE_CHECKING:
    from dermquery.serve.security.identity import Principal

__all__ = ["AuditError", "AuditLog", "BadLine", "Verified", "verify"]

_LOCK = "audit.lock"
_AGAIN = 2.0
"""Seconds between two attempts to go on after a failure."""
_LONGEST = 4096
_OURS = frozenset({"line", "time", "event", "principal", "method", "previous"})


class AuditError(OSError):
    """The audit log cannot be written or trusted, so what it should record must not happen."""


class AuditLog:
    """The log of one process; a second process on the same folder gets an :class:`AuditError`.

    Args:
        folder: of the log; created for its owner only.
        max_bytes: size at which a new file begins.

    Raises:
        AuditError: another process uses the log, or it is damaged.
    """

    def __init__(self, folder: Path, max_bytes: int = 64 << 20) -> None:
        from filelock import FileLock, Timeout

        self._folder, self._max_bytes = folder, max_bytes
        make_folder(folder, mode=0o700)
        self._process = FileLock(folder / _LOCK, mode=0o600, thread_local=False)
        try:
            self._process.acquire(timeout=0)
        except Timeout as error:
            raise AuditError(
                f"another process writes the audit log in {folder}; stop it, or give this one its own --state"
            ) from error
        self._appending, self._syncing = threading.Lock(), threading.Lock()
        self._broken: BaseException | None = None
        self._closed = self._lost = False  # lost: what was written may not be on the disk
        self._mending, self._tried = threading.Lock(), -math.inf
        self._file, self._size, self._number, self._synced, self._sha256 = -1, 0, 0, 0, BEGIN
        try:
            removed = self._open_last()
            if removed:
                self.write("audit-repaired", None, removed_bytes=removed)
        except BaseException:
            self._process.release()
            raise

    def write(self, event: str, principal: Principal | None, **facts: Any) -> None:
        """Add a line, which is on disk when this returns. Threads that write at once share one flush.

        Args:
            event: search, view, add, update, delete, job, sign-in, refused, …
            principal: who; None before anybody is known.
            facts: JSON values without secrets; images by their SHA-256. Texts are cut at 4096 characters.

        Raises:
            AuditError: the line could not be written; the log then takes no more lines until it could be mended.
            ValueError: a fact has the name of one of the log's own fields.
        """
        if taken := _OURS & facts.keys():
            raise ValueError(f"a fact must not be called {sorted(taken)[0]!r}: the log has a field of that name")
        who = {"principal": principal.name, "method": principal.method} if principal else {"principal": None}
        with self._appending:
            number = self._append({"event": event, **who, **{name: _short(value) for name, value in facts.items()}})
        self._flush(number)

    def check(self) -> None:
        """Check, before anything happens, that it could be logged.

        A thread then looks now and then whether that is over, for example as there is room again.

        Raises:
            AuditError: an earlier line could not be written.
        """
        if (broken := self._broken) is not None:
            if not (self._lost or self._closed):
                threading.Thread(target=self._mend, name="audit", daemon=True).start()
            raise self._failure(broken)

    def close(self) -> None:
        """Flush the log and release it to other processes."""
        if self._broken is None:
            self._flush(self._number)
        with self._mending, self._syncing, self._appending:
            self._closed = True
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
            self._broken = self._broken or AuditError("it is closed")
            self._process.release()

    def _mend(self) -> None:
        """Read the log again from its disk, as a start does, and go on if it can be written; at most every few seconds.

        Nobody writes meanwhile, as it counts as broken. Lines that were not acknowledged may be gone.
        """
        with self._mending:
            if time.monotonic() - self._tried < _AGAIN or self._broken is None or self._closed:
                return
            self._tried, file = time.monotonic(), self._file
            try:
                removed = self._open_last()
                _write_head(self._folder, self._number, self._sha256)
            except OSError:
                return
            if file >= 0:
                os.close(file)
            self._broken = None
            with suppress(AuditError):
                self.write("audit-repaired", None, removed_bytes=removed)

    def _append(self, values: Mapping[str, Any]) -> int:
        self.check()
        try:
            if self._size >= self._max_bytes:
                self._next_file()
            number, now = self._number + 1, datetime.now(UTC).isoformat(timespec="milliseconds")
            line = _encoded({"line": number, "time": now, **values, "previous": self._sha256})
            _write_all(self._file, line)
        except OSError as error:
            self._broken = error
            with suppress(OSError):  # the next start removes what is left of the line
                os.ftruncate(self._file, self._size)
            raise self._failure(error) from error
        self._number, self._size, self._sha256 = number, self._size + len(line), hashlib.sha256(line).hexdigest()
        return number

    def _flush(self, number: int) -> None:
        with self._syncing:
            if self._synced >= number:
                return
            with self._appending:
                self.check()
                # A copy, because another thread may begin the next file and close this one.
                file, reached, sha256 = os.dup(self._file), self._number, self._sha256
            self._lost = True
            try:
                os.fsync(file)
                self._lost = False  # after a failed fsync the kernel may have dropped pages, so a second proves nothing
                _write_head(self._folder, reached, sha256)
            except OSError as error:
                self._broken = error
                raise self._failure(error) from error
            finally:
                os.close(file)
            self._synced = reached

    def _failure(self, error: BaseException) -> AuditError:
        then = "mend that and start again" if self._lost else "mend that, and it goes on within seconds"
        return AuditError(f"the audit log in {self._folder} cannot be written: {error}; {then}")

    def _next_file(self) -> None:
        """Begin a file, after flushing the one before: a flush reaches only one file."""
        os.fsync(self._file)
        os.close(self._file)
        self._file = -1
        self._begin(self._folder / file_name(self._number + 1))

    def _begin(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size
        sync([self._folder])

    def _open_last(self) -> int:
        """Go on where the files end; returns how many bytes of an unfinished line were cut off.

        Raises:
            AuditError: they are damaged.
        """
        files = files_of(self._folder)
        # Two files, because the last one may be empty; not all, so that starts do not slow down over the years.
        found = check(self._folder, files[-2:], {}, read_head(self._folder))
        if isinstance(found, BadLine):
            raise AuditError(
                f"the audit log in {self._folder} is damaged: {found.file}, row {found.row}: {found.reason}. Keep the "
                "folder as it is for whoever investigates, and start with another one (--state, or move it away)"
            )
        last = files[-1] if files else self._folder / file_name(1)
        self._number, self._sha256 = found.last, found.sha256
        self._begin(last)
        if found.unfinished:
            self._size -= found.unfinished
            os.ftruncate(self._file, self._size)
        os.fsync(self._file)
        self._synced = self._number
        return found.unfinished


def _write_head(folder: Path, number: int, sha256: str) -> None:
    """Write the head, without a flush: an older one is true too, and one that a power cut left empty counts as none."""
    part = folder / ".head.json"
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write_all(file, _encoded({"line": number, "sha256": sha256}))
    finally:
        os.close(file)
    move_unflushed(part, folder / HEAD)


def _encoded(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}… ({len(value)} characters)"
    return value
