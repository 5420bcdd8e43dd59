"""What one test process makes and all others take."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

__all__ = ["made_once"]


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first test process which asks fills; the others wait for it.

    Args:
        factory: of pytest; its folder ends with the session.
        name: of the folder, the same in all processes.
        make: fills the folder, which is there and empty; what fails is made anew by the next who asks.

    Returns:
        The folder, in which no test may change anything.
    """
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(f"{folder}.lock"):
        done = folder / ".made"
        if not done.exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            done.touch()
    return folder
