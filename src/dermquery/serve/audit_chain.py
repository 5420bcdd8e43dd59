"""Reads an audit log and checks the chain of its hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["BadLine", "Verified", "check", "file_name", "files_of", "read_head", "read_lines", "verify"]

BEGIN = "0" * 64
HEAD = "head.json"


@dataclass(frozen=True)
class Verified:
    """A log whose chain holds.

    Attributes:
        first: number of its first line: more than 1 if somebody moved earlier files away, 0 if there are no lines.
        last: number of its last line.
        sha256: hash of the last line. Keep it elsewhere and pass it to the next :func:`verify`.
        files: how many files there are.
        unfinished: bytes of a last line that :meth:`AuditLog.write` never confirmed; the next start removes them.
    """

    first: int
    last: int
    sha256: str
    files: int
    unfinished: int = 0


@dataclass(frozen=True)
class BadLine:
    """The first line from which on a log cannot be trusted.

    Attributes:
        file: name of the file.
        row: row in the file, from 1.
        reason: what is wrong.
    """

    file: str
    row: int
    reason: str


def verify(folder: Path, anchors: Mapping[int, str] | None = None) -> Verified | BadLine:
    """Check the chain of a log, even while a service writes it: the range that holds, or the first bad line.

    ``anchors`` are hashes of lines by their number, from earlier calls.
    """
    head = read_head(folder)  # before the files, so that they hold the line it names, even while the log grows
    return check(folder, files_of(folder), dict(anchors or {}), head)


def read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log in order, unchecked, without an unfinished last one."""
    for file in files_of(folder):
        with file.open("rb") as stream:
            for line in stream:
                values = _decoded(line)
                if line.endswith(b"\n") and values is not None:
                    yield values


def check(
    folder: Path, files: Sequence[Path], known: dict[int, str], head: tuple[int, str] | None
) -> Verified | BadLine:
    """Check consecutive files; ``known`` and ``head`` are hashes that their lines must have."""
    if head and known.setdefault(*head) != head[1]:
        return BadLine(HEAD, 1, f"line {head[0]} had another hash before: {known[head[0]]}")
    chain = _Chain(known)
    for file in files:
        if file != files[-1] and not file.stat().st_size:
            return BadLine(file.name, 1, "the file is empty")
        with file.open("rb") as stream:
            for row, line in enumerate(stream, 1):
                if not line.endswith(b"\n") and file == files[-1]:
                    chain.unfinished = len(line)
                elif reason := chain.add(line, _number_in(file) if row == 1 else None):
                    return BadLine(file.name, row, reason)
    if missing := [number for number in known if number > chain.last]:
        last = files[-1] if files else folder / file_name(1)
        reason = f"the log ends after line {chain.last}, but line {max(missing)} was written"
        return BadLine(last.name, max(1, chain.last - _number_in(last) + 2), reason)
    return Verified(chain.first, chain.last, chain.sha256, len(files), chain.unfinished)


class _Chain:
    """The lines checked so far."""

    def __init__(self, known: Mapping[int, str]) -> None:
        self._known = known
        self.first = self.last = self.unfinished = 0
        self.sha256 = BEGIN

    def add(self, line: bytes, begins: int | None) -> str | None:
        """Add a line, or return why it cannot follow; ``begins`` is the number of a first line by its file's name."""
        values = _decoded(line)
        if values is None or not isinstance(values.get("line"), int) or not isinstance(values.get("previous"), str):
            return "not a line of an audit log"
        number, sha256 = values["line"], hashlib.sha256(line).hexdigest()
        # If somebody moved earlier files away, the line before is unknown.
        reason = None if self.first == 0 and begins not in (None, 1) else self._unlike(number, values["previous"])
        if reason is None and begins is not None and number != begins:
            reason = f"line {number} stands where the file's name says that line {begins} does"
        if reason is None and self._known.get(number, sha256) != sha256:
            reason = f"line {number} had another hash before: {self._known[number]}"
        if reason is None:
            self.first, self.last, self.sha256 = self.first or number, number, sha256
        return reason

    def _unlike(self, number: int, previous: str) -> str | None:
        if number != self.last + 1:
            return f"line {number} follows line {self.last}"
        if previous == self.sha256:
            return None
        return f"line {self.last} was changed, or this one" if self.last else "its hash of a line before it is not zero"


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def file_name(number: int) -> str:
    """Name of the file whose first line has this number."""
    return f"audit-{number:012d}.jsonl"


def _number_in(file: Path) -> int:
    return int(file.stem.removeprefix("audit-"))


def files_of(folder: Path) -> list[Path]:
    """The files of a log in order."""
    return sorted(path for path in folder.glob("audit-*.jsonl") if path.stem.removeprefix("audit-").isdecimal())


def read_head(folder: Path) -> tuple[int, str] | None:
    """Line and hash of the head; None without one, or if a power cut left it empty."""
    try:
        values = json.loads((folder / HEAD).read_bytes())
        return int(values["line"]), str(values["sha256"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
