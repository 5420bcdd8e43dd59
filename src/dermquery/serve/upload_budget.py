"""How much of the disk uploads may take while they arrive and wait, so that nobody fills it."""

from __future__ import annotations

import errno
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dermquery.serve.line import Busy

__all__ = ["LEFT_BYTES", "UploadBudget", "disk_is_full"]

LEFT_BYTES = 64 << 20
"""What must stay free for the audit log and the state of jobs."""


class UploadBudget:
    """The bytes of uploads that arrive, or wait for their job.

    Args:
        folder: where they end up.
        most: bytes of all of them together; one principal may use half for what arrives.
        waiting: gives the bytes of those that wait.
    """

    def __init__(self, folder: Path, most: int, waiting: Callable[[], int]) -> None:
        self._folder, self._most, self._waiting = folder, most, waiting
        self._arriving: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, owner: str, size: int) -> Iterator[None]:
        """Hold room for an upload until it has arrived.

        Raises:
            Busy: other uploads take the budget.
            OSError: the disk is full (ENOSPC).
        """
        with self._lock:
            held = self._arriving.total() + self._waiting()
            if held + size > self._most or (self._arriving[owner] and self._arriving[owner] + size > self._most // 2):
                raise Busy("uploads", held, retry_after=60)
            # It stands in a temporary file before it stands in the job's folder.
            for folder in {self._folder, Path(tempfile.gettempdir())}:
                if _free(folder) < self._arriving.total() + size + LEFT_BYTES:
                    raise OSError(errno.ENOSPC, "no room for the upload")
            self._arriving[owner] += size
        try:
            yield
        finally:
            with self._lock:
                self._arriving[owner] -= size
                self._arriving += Counter()  # forgets those at zero


def disk_is_full(folder: Path) -> bool:
    """Whether there is no room for the audit log and the state of jobs."""
    return _free(folder) < LEFT_BYTES


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
