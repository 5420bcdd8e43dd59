"""What is fuzzed: a reader, inputs to start from, and what counts as a finding."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MARK", "MOST_MEGABYTES", "MOST_SECONDS", "FindingError", "Reader", "Target", "bounded", "parts"]

MOST_SECONDS, MOST_MEGABYTES = 2.0, 500
"""Of the processor and of memory, for one input."""
MARK = b"\n=====\n"
"""Between the parts of an input that stands for several files, so that a checksum between them is no obstacle."""

Reader = Callable[[bytes], None]
"""Reads an input, keeps the errors to itself that are documented, and raises any other."""


class FindingError(AssertionError):
    """An input took too long or too much memory, or came back otherwise than it was written."""


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        reader: makes it, given a folder for its files.
        seeds: makes inputs that are read without an error, mostly.
        words: that such inputs are made of.
    """

    reader: Callable[[Path], Reader]
    seeds: Callable[[], Sequence[bytes]]
    words: Sequence[bytes] = ()


def bounded(read: Reader, data: bytes) -> None:
    """Read an input within the limits.

    Raises:
        FindingError: it took more than that.
        Exception: what the reader did not document.
    """
    memory = _peak()
    seconds = _seconds(read, data)
    megabytes = _peak() - memory
    # Once more: a process counts what its other threads do, and what is loaded once.
    if seconds > MOST_SECONDS and (seconds := _seconds(read, data)) > MOST_SECONDS:
        raise FindingError(f"{seconds:.1f} s of the processor")
    if megabytes > MOST_MEGABYTES:
        raise FindingError(f"{megabytes:.0f} MB")


def _seconds(read: Reader, data: bytes) -> float:
    begun = time.process_time()
    read(data)
    return time.process_time() - begun


def parts(data: bytes, names: Sequence[str]) -> Mapping[str, bytes]:
    """The parts of an input by name, as many as there are."""
    return dict(zip(names, data.split(MARK), strict=False))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
