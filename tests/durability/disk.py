"""A disk that loses power: what is on it is known at every moment, and can be laid out as a cut would leave it.

Nothing but this process flushes (Lance, FAISS and Arrow never do), so the calls of ``os.fsync`` say all that is safe:
of a file its content, of a folder the names in it (Mohan et al. 2018, "Finding Crash-Consistency Bugs with Bounded
Black-Box Crash Testing"; Pillai et al. 2014, "All File Systems Are Not Created Equal"). What was not flushed may be on
the disk or not, each name and each content for itself, which is more than any real file system does.
"""

from __future__ import annotations

import os
import resource
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

__all__ = ["VARIANTS", "Cut", "Disk", "lay_out"]

VARIANTS = ("lost", "torn", "mixed")
"""Nothing that was not flushed is there; every name is, without its content; or each by chance."""

Names = Mapping[str, tuple[int, bool]]
"""What a folder holds: name, inode, whether that is a folder."""


@dataclass(frozen=True)
class Cut:
    """The disk at one moment.

    Attributes:
        where: what was about to be done.
        told: how many of :attr:`Disk.told` had been said.
        root: inode of the folder.
        safe, safe_names: contents and names that were flushed, by inode.
        live, live_names: those that a process sees.
    """

    where: str
    told: int
    root: int
    safe: Mapping[int, bytes]
    safe_names: Mapping[int, Names]
    live: Mapping[int, bytes]
    live_names: Mapping[int, Names]


@dataclass
class Disk:
    """Records a folder while a block runs.

    Attributes:
        root: the folder.
        told: what the caller was told to be safe, in order.
        cuts: the moments at which the power may go.
    """

    root: Path
    told: list[Any] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    _safe: dict[int, bytes] = field(default_factory=dict)
    _names: dict[int, Names] = field(default_factory=dict)
    _held: list[int] = field(default_factory=list)
    _read: dict[tuple[int, int, int], bytes] = field(default_factory=dict)
    _recording: threading.RLock = field(default_factory=threading.RLock)
    _fsync: Any = os.fsync

    def tell(self, what: Any) -> None:
        """Note that something was said to be safe."""
        with self._recording:
            self.told.append(what)
            self._cut(f"told {what}")

    @contextmanager
    def recording(self) -> Iterator[Disk]:
        """What lies there at the beginning is safe."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._safe, self._names = self._look()
        patches = [mock.patch.object(os, "fsync", self._flushing)]
        changing = ("replace", "rename", "unlink", "remove", "rmdir", "mkdir", "link")
        patches.extend(mock.patch.object(os, name, self._changing(name, getattr(os, name))) for name in changing)
        try:
            for patch in patches:
                patch.start()
            yield self
            with self._recording:
                self._cut("end")
        finally:
            for patch in patches:
                patch.stop()
            for handle in self._held:
                os.close(handle)

    def _flushing(self, handle: int) -> None:
        with self._recording:
            path = Path(f"/proc/self/fd/{handle}")
            where = path.readlink()
            if not where.is_relative_to(self.root):
                self._fsync(handle)
                return
            self._cut(f"fsync {where.relative_to(self.root)}")
            self._fsync(handle)
            found = os.fstat(handle)
            self._held.append(os.dup(handle))  # an inode that is held is not given to another file
            if stat.S_ISDIR(found.st_mode):
                self._names[found.st_ino] = _names(where)
            else:
                self._safe[found.st_ino] = path.read_bytes()

    def _changing(self, name: str, call: Any) -> Any:
        def changing(*arguments: Any, **options: Any) -> Any:
            with self._recording:
                self._cut(f"{name} {' '.join(map(str, arguments))}")
            return call(*arguments, **options)

        return changing

    def _cut(self, where: str) -> None:
        live, names = self._look()
        cut = Cut(where, len(self.told), self.root.stat().st_ino, dict(self._safe), dict(self._names), live, names)
        last = self.cuts[-1] if self.cuts else None
        if last is None or (last.safe, last.safe_names, last.live, last.live_names, last.told) != (
            cut.safe,
            cut.safe_names,
            cut.live,
            cut.live_names,
            cut.told,
        ):
            self.cuts.append(cut)

    def _look(self) -> tuple[dict[int, bytes], dict[int, Names]]:
        contents: dict[int, bytes] = {}
        names: dict[int, Names] = {}
        folders = [self.root]
        while folders:
            folder = folders.pop()
            try:
                names[folder.stat().st_ino] = there = _names(folder)
            except FileNotFoundError:
                continue  # Lance works on in its own threads
            for name, (inode, is_folder) in there.items():
                if is_folder:
                    folders.append(folder / name)
                else:
                    contents[inode] = self._content(folder / name)
        return contents, names

    def _content(self, path: Path) -> bytes:
        try:
            found = path.stat()
            key = found.st_ino, found.st_size, found.st_mtime_ns
            if key not in self._read:
                self._read[key] = path.read_bytes()
        except FileNotFoundError:
            return b""
        return self._read[key]


def _names(folder: Path) -> dict[str, tuple[int, bool]]:
    return {entry.name: (entry.inode(), entry.is_dir()) for entry in os.scandir(folder)}


def lay_out(cut: Cut, variant: str, target: Path, seed: int = 0) -> None:
    """Write the folder as a cut would leave it."""
    rng = np.random.default_rng(seed)

    def chance() -> bool:
        return bool(rng.integers(2))

    def names(inode: int) -> Names:
        safe, live = cut.safe_names.get(inode, {}), cut.live_names.get(inode, {})
        if variant == "lost":
            return safe
        if variant == "torn":
            return live
        either = {name: ((live if chance() else safe).get(name)) for name in sorted({*safe, *live})}
        return {name: entry for name, entry in either.items() if entry is not None}

    def content(inode: int) -> bytes:
        if variant == "mixed":
            live = cut.live.get(inode, cut.safe.get(inode, b""))  # a file that is gone since is as it was
            half = live[: len(live) // 2] if inode not in cut.safe else cut.safe[inode]
            return (live if chance() else half) if chance() else cut.safe.get(inode, b"")
        return cut.safe.get(inode, b"")

    def write(inode: int, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        for name, (inner, is_folder) in names(inode).items():
            if is_folder:
                write(inner, path / name)
            else:
                (path / name).write_bytes(content(inner))

    write(cut.root, target)
