"""Write files so that they appear whole or not at all, and are on the disk when the writer says so.

A file is on the disk when its content is flushed and the folder that holds its name is. So everything that somebody is
told to be safe goes through here, in this order: content, name, then the word that it is done. Names are only given to
flushed contents: a power cut in between leaves an old file or none, never an empty one (Pillai et al. 2014, "All File
Systems Are Not Created Equal"). Nothing else in the package renames a file or a folder; a test sees to that.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "hidden_beside",
    "make_folder",
    "move",
    "move_unflushed",
    "remove_tree",
    "replacing",
    "replacing_all",
    "sync",
    "sync_tree",
]

_AT_ONCE = 16
"""Flushes that wait side by side: the file system takes them to the disk together."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to, and move it over ``path`` if the block succeeds.

    A reader, or a run that was killed half-way, never sees a half-written file, and it is on the disk when the block
    ends. Parent folders are made. The temporary file is hidden (its name starts with a dot) and is removed if the block
    fails.
    """
    make_folder(path.parent)
    part = hidden_beside(path)
    try:
        yield part
        sync([part])
        move(part, path)
    finally:
        part.unlink(missing_ok=True)


def replacing_all(parts: Iterable[tuple[Path, Path]]) -> None:
    """Move many written files, each (temporary, final) in one folder, as :func:`replacing` does one, in less time."""
    pairs = list(parts)
    sync(part for part, _ in pairs)
    for part, path in pairs:
        part.replace(path)
    sync(path.parent for _, path in pairs)


def hidden_beside(path: Path) -> Path:
    """A new name in the folder of a file, which starts with a dot and ends as the file's does."""
    return path.with_name(f".{uuid.uuid4().hex[:12]}{path.suffix}")


def move(source: Path, target: Path) -> None:
    """Give a flushed file or folder another name, in place of a file that has it; on the disk when this returns."""
    source.replace(target)
    sync({source.parent, target.parent})


def move_unflushed(source: Path, target: Path) -> None:
    """The same for a file whose older content serves as well: a power cut may bring that back, or leave it empty."""
    source.replace(target)


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder and those above it, unless they are there; their names are on the disk when this returns."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True, mode=mode)
    sync(folder.parent for folder in missing)


def sync(paths: Iterable[Path]) -> None:
    """Flush files and folders, many at once; a folder's flush takes the names in it to the disk.

    Raises:
        OSError: one could not be flushed; nothing may be said to be safe then.
    """
    each = list(dict.fromkeys(paths))
    if len(each) == 1:
        _sync(each[0])
    elif each:
        with ThreadPoolExecutor(min(_AT_ONCE, len(each)), thread_name_prefix="flush") as pool:
            list(pool.map(_sync, each))


def sync_tree(folder: Path) -> None:
    """Flush a folder and everything in it."""
    sync([folder, *folder.rglob("*")])


def remove_tree(path: Path) -> None:
    """Remove a folder, if it is there; from the first moment on nobody finds it by its name, whole or in parts.

    What a removal that was cut off leaves is hidden (its name starts with ``.removed-``), and goes with the next one.
    """
    gone = path.with_name(f".removed-{uuid.uuid4().hex[:12]}")
    with suppress(FileNotFoundError):
        move(path, gone)
    for left in path.parent.glob(".removed-*"):
        shutil.rmtree(left, ignore_errors=True)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows flushes names by itself, and opens no folders
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems have no flush of folders; their servers keep names by themselves.
        if error.errno != errno.EINVAL or not path.is_dir():
            raise
    finally:
        os.close(handle)
