"""The audit log: who searched, viewed and changed what, and when.

Lines are only ever added, each with the SHA-256 of the one before. A file is JSON lines, named after the number of its
first line; the chain goes on from file to file. ``head.json`` says how far the log had been written for certain, so that
lines missing at its end are noticed. Whoever can write to the folder can rewrite the whole of it: the hash that
:func:`verify` gives belongs somewhere else as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dermquery.serve.security.identity import Principal

__all__ = ["AuditError", "AuditLog", "BadLine", "Verified", "read_lines", "verify"]

_BEGIN = "0" * 64
_HEAD, _LOCK = "head.json", "audit.lock"
_LONGEST = 4096
_OURS = frozenset({"line", "time", "event", "principal", "method", "previous"})


class AuditError(OSError):
    """The audit log cannot be written or trusted; what would have been logged must not happen."""


@dataclass(frozen=True)
class Verified:
    """A log whose chain holds.

    Attributes:
        first: number of its first line; more than 1 if earlier files were moved away. 0 if there are no lines.
        last: number of its last line.
        sha256: hash of the last line; keep it elsewhere, and give it to the next :func:`verify`.
        files: how many files there are.
        unfinished: bytes of a last line that was never acknowledged; the next start cuts them off.
    """

    first: int
    last: int
    sha256: str
    files: int
    unfinished: int = 0


@dataclass(frozen=True)
class BadLine:
    """The first line where a log cannot be trusted any more.

    Attributes:
        file: name of the file.
        row: row in the file, from 1.
        reason: what is wrong.
    """

    file: str
    row: int
    reason: str


class AuditLog:
    """The log of one process; another one that opens the same folder gets an :class:`AuditError`.

    Args:
        folder: made if needed, for its owner only.
        max_bytes: size at which the next file is begun.

    Raises:
        AuditError: in use by another process, or damaged.
    """

    def __init__(self, folder: Path, max_bytes: int = 64 << 20) -> None:
        from filelock import FileLock, Timeout

        self._folder, self._max_bytes = folder, max_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._process = FileLock(folder / _LOCK, mode=0o600)
        try:
            self._process.acquire(timeout=0)
        except Timeout as error:
            raise AuditError(
                f"another process writes the audit log in {folder}; stop it, or give this one its own --state"
            ) from error
        self._appending, self._syncing = threading.Lock(), threading.Lock()
        self._broken: BaseException | None = None
        self._file, self._size, self._number, self._synced, self._sha256 = -1, 0, 0, 0, _BEGIN
        try:
            self._open_last()
        except BaseException:
            self._process.release()
            raise

    def write(self, event: str, principal: Principal | None, **facts: Any) -> None:
        """Add a line; when this returns it is on disk. Threads that write at once share one flush.

        Args:
            event: search, view, add, update, delete, job, sign-in, refused, …
            principal: who; None if nobody is known yet.
            facts: JSON values, without anything secret; images by their SHA-256. Texts are cut at 4096 characters.

        Raises:
            AuditError: the line could not be written; the log takes no further lines then.
            ValueError: a fact has the name of one of the log's own fields.
        """
        if taken := _OURS & facts.keys():
            raise ValueError(f"a fact must not be called {sorted(taken)[0]!r}: the log has a field of that name")
        who = {"principal": principal.name, "method": principal.method} if principal else {"principal": None}
        with self._appending:
            number = self._append({"event": event, **who, **{name: _short(value) for name, value in facts.items()}})
        self._flush(number)

    def close(self) -> None:
        """Let other processes have the log."""
        with self._appending, self._syncing:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
            self._broken = self._broken or AuditError("the audit log is closed")
            self._process.release()

    def _append(self, values: Mapping[str, Any]) -> int:
        if self._broken is not None:
            raise AuditError(f"the audit log in {self._folder} cannot be written: {self._broken}") from self._broken
        if self._size >= self._max_bytes:
            self._next_file()
        number = self._number + 1
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = _encoded({"line": number, "time": time, **values, "previous": self._sha256})
        try:
            _write_all(self._file, line)
        except OSError as error:
            self._broken = error
            with suppress(OSError):  # what is left of the line is cut off at the next start
                os.ftruncate(self._file, self._size)
            raise AuditError(f"the audit log in {self._folder} cannot be written: {error}") from error
        self._number, self._size, self._sha256 = number, self._size + len(line), hashlib.sha256(line).hexdigest()
        return number

    def _flush(self, number: int) -> None:
        with self._syncing:
            if self._synced >= number:
                return
            with self._appending:
                # A copy, because another thread may begin the next file meanwhile and close this one.
                file, reached, sha256 = os.dup(self._file), self._number, self._sha256
            try:
                os.fsync(file)
                _write_head(self._folder, reached, sha256)
            except OSError as error:
                # After a failed fsync the kernel may have dropped the pages, so a second one would lie.
                self._broken = error
                raise AuditError(f"the audit log in {self._folder} cannot be written: {error}") from error
            finally:
                os.close(file)
            self._synced = reached

    def _next_file(self) -> None:
        """Begin a file. The one before is flushed first, because a flush reaches only one file."""
        os.fsync(self._file)
        os.close(self._file)
        self._begin(self._folder / _name(self._number + 1))

    def _begin(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _open_last(self) -> None:
        files = _files(self._folder)
        found = _check(
            self._folder, files[-1:], {}
        )  # the last one only: a start must not take longer from year to year
        if isinstance(found, BadLine):
            raise AuditError(
                f"the audit log in {self._folder} is damaged: {found.file}, row {found.row}: {found.reason}. Keep the "
                "folder as it is for whoever investigates, and start with another one (--state, or move it away)"
            )
        last = files[-1] if files else self._folder / _name(1)
        self._number, self._sha256 = found.last, found.sha256
        self._begin(last)
        if found.unfinished:
            self._size -= found.unfinished
            os.ftruncate(self._file, self._size)
        os.fsync(self._file)
        self._synced = self._number
        if found.unfinished:
            self.write("audit-repaired", None, removed_bytes=found.unfinished)


def verify(folder: Path, anchors: Mapping[int, str] | None = None) -> Verified | BadLine:
    """Check the chain of a log, also of one that is in use.

    Args:
        folder: of the log.
        anchors: hashes of lines by their number, as earlier calls gave them.

    Returns:
        What holds, or the first line that does not.
    """
    head = _read_head(folder)  # before the files: what is in it is in them, even while the log grows
    return _check(folder, _files(folder), anchors or {}, head)


def _check(
    folder: Path, files: Sequence[Path], anchors: Mapping[int, str], head: tuple[int, str] | None = None
) -> Verified | BadLine:
    head = head or _read_head(folder)
    expected = dict(anchors) | ({head[0]: head[1]} if head else {})
    first = number = unfinished = 0
    sha256 = _BEGIN
    for position, file in enumerate(files):
        with file.open("rb") as stream:
            for row, line in enumerate(stream, 1):
                if not line.endswith(b"\n") and position == len(files) - 1:
                    unfinished = len(line)
                    break
                values = _decoded(line)
                reason = _wrong(values, number, None if first == 0 and _number_in(file) > 1 else sha256)
                if reason is None and row == 1 and values["line"] != _number_in(file):
                    reason = f"the file's name says that it begins with line {_number_in(file)}"
                sha256 = hashlib.sha256(line).hexdigest()
                if reason is None and expected.get(values["line"], sha256) != sha256:
                    reason = f"line {values['line']} had another hash before: {expected[values['line']]}"
                if reason is not None:
                    return BadLine(file.name, row, reason)
                number = values["line"]
                first = first or number
    if missing := [known for known in expected if known > number]:
        last = files[-1].name if files else _name(1)
        rows = number - _number_in(files[-1]) + 1 if files else 0
        return BadLine(last, rows + 1, f"the log ends after line {number}, but line {max(missing)} was written")
    return Verified(first, number, sha256, len(files), unfinished)


def read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log in order, unchecked; an unfinished last one is left out."""
    for file in _files(folder):
        with file.open("rb") as stream:
            for line in stream:
                values = _decoded(line)
                if line.endswith(b"\n") and values is not None:
                    yield values


def _wrong(values: dict[str, Any] | None, number: int, sha256: str | None) -> str | None:
    """Why a line cannot follow line ``number`` with that hash; None for a first line whose predecessor is elsewhere."""
    if values is None or not isinstance(values.get("line"), int) or not isinstance(values.get("previous"), str):
        return "not a line of an audit log"
    if sha256 is None:
        return None
    if values["line"] != number + 1:
        return f"line {number + 1} is missing, line {values['line']} follows line {number}"
    if values["previous"] != sha256:
        return f"the line before it (line {number}) was changed, or this one was" if number else "it is not the first"
    return None


def _encoded(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}… ({len(value)} characters)"
    return value


def _name(number: int) -> str:
    return f"audit-{number:012d}.jsonl"


def _number_in(file: Path) -> int:
    return int(file.stem.removeprefix("audit-"))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("audit-*.jsonl") if path.stem.removeprefix("audit-").isdecimal())


def _write_head(folder: Path, number: int, sha256: str) -> None:
    """Not flushed itself: an older head is as true as a newer one, and rename keeps it whole."""
    part = folder / ".head.json"
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write_all(file, _encoded({"line": number, "sha256": sha256}))
    finally:
        os.close(file)
    part.replace(folder / _HEAD)


def _read_head(folder: Path) -> tuple[int, str] | None:
    """Line and hash of the head; None if there is none, or if a power cut left an empty one."""
    try:
        values = json.loads((folder / _HEAD).read_bytes())
        return int(values["line"]), str(values["sha256"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
