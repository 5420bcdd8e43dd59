"""Upgrade a base a row at a time, and be killed at a place; started by a test."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from dermquery.store.lance import earlier_table
from dermquery.store.lance.folder_home import FolderHome
from dermquery.store.lance.lance_store import LanceStore
from dermquery.store.upgrade import upgrade


def dying(method: Callable[..., Any], call: int) -> Callable[..., Any]:
    """The method, whose ``call``-th call kills the process."""
    calls = iter(range(1, call))

    def run(*arguments: Any, **options: Any) -> Any:
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*arguments, **options)

    return run


if __name__ == "__main__":
    uri, where, call = sys.argv[1], sys.argv[2], int(sys.argv[3])
    earlier_table._ROWS_PER_BATCH = 1
    owner = FolderHome if where == "switch" else LanceStore
    setattr(owner, where, dying(getattr(owner, where), call))
    upgrade(uri)
