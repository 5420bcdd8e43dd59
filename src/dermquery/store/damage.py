"""Rows that are not as they were written, because a bit flipped on the disk or in memory: found, left out, and named.

A checksum stands beside each row, over its description and its vector. Whoever reads one for an answer holds it against
that, so a wrong row is never shown; it is named beside every later answer of the same store.
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dermquery.model.alignment import Vectors

__all__ = ["LOST", "Damage", "DamageError", "DamageLog", "check_command", "checksum", "is_sound"]

_SHOWN = 5
_REMEDY = "See what can be mended with: dermquery base check"
_log = logging.getLogger("dermquery.store")


class DamageError(OSError):
    """What was asked for needs every row, and some are damaged; the message names them and the remedy."""


@dataclass(frozen=True)
class Damage:
    """What is wrong with the rows of a base, as a warning beside an answer.

    Attributes:
        message: for people, with the remedy and without the base's place, because a service sends it.
        case_ids: cases that are in no answer because of it, sorted.
        files: those that are not as they were written, by their path in the table's folder.
    """

    message: str
    case_ids: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """In a few words."""
        return "damaged cases" if self.case_ids else "damaged files" if self.files else "lost cases"


LOST = Damage(f"Cases are missing from the base: files that were written and confirmed are lost or damaged. {_REMEDY}")


def checksum(payload: str, vector: Vectors) -> int:
    """A signed number of 64 bits: CRC-32 of the description, then that of the vector in half precision."""
    both = zlib.crc32(payload.encode()) << 32 | zlib.crc32(vector.astype(np.float16).tobytes())
    return both - (1 << 64) if both >> 63 else both


def is_sound(payload: str, vector: Vectors, stored: int) -> bool:
    """Whether a description, and a vector unless it is empty, are those that a checksum was taken of."""
    expected = checksum(payload, vector)
    return expected == stored if len(vector) else expected >> 32 == stored >> 32


def check_command(uri: object) -> str:
    """What the user types to learn what is wrong with a base."""
    return f"dermquery base check {uri}"


class DamageLog:
    """What was found to be damaged in one store. Threads may share it.

    Args:
        uri: the base, for messages.
    """

    def __init__(self, uri: str | Path) -> None:
        self._uri = uri
        self._noting = threading.Lock()
        self._ids: frozenset[str] = frozenset()
        self._files: frozenset[str] = frozenset()

    @property
    def case_ids(self) -> frozenset[str]:
        """Ids of rows that are wrong, as their columns say them."""
        return self._ids

    def note(self, case_ids: Collection[str]) -> None:
        """Remember wrong rows, and write those that are new to the log."""
        with self._noting:
            if fresh := frozenset(case_ids) - self._ids:
                self._ids |= fresh
                _log.error("%s: %s", self._uri, _of_rows(sorted(fresh)))

    def note_files(self, names: Collection[str]) -> None:
        """Remember wrong files, in place of those that were known."""
        with self._noting:
            if fresh := frozenset(names) - self._files:
                _log.error("%s: %s", self._uri, _of_files(sorted(fresh)))
            self._files = frozenset(names)

    def forget(self, case_ids: Collection[str]) -> None:
        """Rows were written again or removed."""
        with self._noting:
            self._ids -= frozenset(case_ids)

    def found(self) -> tuple[Damage, ...]:
        """What is known, for people."""
        ids, files = tuple(sorted(self._ids)), tuple(sorted(self._files))
        if ids:
            return (Damage(_of_rows(ids), case_ids=ids),)
        return (Damage(_of_files(files), files=files),) if files else ()

    def check(self) -> None:
        """DamageError if rows are known to be wrong."""
        if self._ids:
            raise DamageError(f"{_of_rows(sorted(self._ids))}: {check_command(self._uri)} --repair")


def _of_rows(ids: Sequence[str]) -> str:
    n = f"{len(ids)} case{' is' if len(ids) == 1 else 's are'}"
    return f"{n} not as written and in no answer: {_some(ids)}. {_REMEDY}"


def _of_files(names: Sequence[str]) -> str:
    return f"Files of the base are not as written: {_some(names)}. Answers may lack cases. {_REMEDY}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
