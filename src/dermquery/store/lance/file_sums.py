"""Checksums of files that are written once, in a file beside them, so that a bit that flipped on the disk is noticed.

A checksum for each row says which row is wrong (:mod:`dermquery.store.protocol`). It says nothing of what leads to the
rows: columns that filters ask, deletion files, indexes, manifests. Those are files that never change, so one number for
each is enough.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path

from dermquery.data.files import replacing, sync
from dermquery.store.lance.one_bit import MOST_BYTES, turned_back

__all__ = ["LOOKED_OVER", "FileSums"]

LOOKED_OVER = 128_000_000
"""Bytes up to which a search process reads all that it may search, once, to hold it against the checksums: a table
without an index is smaller, and is read whole by every search. More is read where a service warms up, and by checks."""

_AT_ONCE = 1 << 20


class FileSums:
    """CRC-32 and length of files in a folder, by their path in it; a line each, later lines count.

    Args:
        folder: of the files.
        name: of the file that holds the checksums, in the folder.

    Attributes:
        file: that file; whoever adds to it flushes it.
    """

    def __init__(self, folder: Path, name: str = "checksums.txt") -> None:
        self._folder, self.file = folder, folder / name

    def read(self) -> dict[str, tuple[int, int]]:
        """Checksum and length by path; a line that a power cut left unfinished counts for nothing."""
        found: dict[str, tuple[int, int]] = {}
        try:
            lines = self.file.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
        except FileNotFoundError:
            return found
        for line in lines:
            parts = line.split(" ", 2)
            if len(parts) == 3 and len(parts[0]) == 8:
                try:
                    found[parts[2]] = int(parts[0], 16), int(parts[1])
                except ValueError:
                    continue  # its file counts as one without a checksum
        return found

    def add(self, names: Iterable[str]) -> None:
        """Add lines for files."""
        lines = "".join(f"{crc:08x} {size} {name}\n" for name in names for crc, size in (_sum(self._folder / name),))
        if lines:
            with self.file.open("ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)  # a line of a process that was killed may have no end yet
                    lines = lines if file.read(1) == b"\n" else f"\n{lines}"
                file.write(lines.encode())

    def add_all(self) -> None:
        """Add lines for every file of the folder."""
        self.add(sorted(path.name for path in self._folder.iterdir()))

    def keep(self, names: Iterable[str]) -> None:
        """Forget all other files."""
        known = self.read()
        kept = {name: known[name] for name in names if name in known}
        if kept.keys() != known.keys():
            with replacing(self.file) as part:
                lines = (f"{crc:08x} {size} {name}\n" for name, (crc, size) in kept.items())
                part.write_text("".join(lines), encoding="utf-8")

    def wrong_of_all(self, most: int | None = None) -> list[str]:
        """The same of all files with a checksum, or none of them if all together have more than ``most`` bytes."""
        known = self.read()
        if most is not None and sum(size for _, size in known.values()) > most:
            return []
        return self.wrong(known)

    def wrong(self, names: Iterable[str]) -> list[str]:
        """Those of the files that are not as they were written; each that has a checksum is read.

        Raises:
            OSError: one cannot be read.
        """
        known = self.read()
        return [name for name in names if name in known and known[name] != _sum(self._folder / name)]

    def mend(self) -> list[str]:
        """Turn back the bit that flipped in each file that is wrong by a single one; returns their names.

        Where a digit of the checksum is what changed, the file is right, and gets it anew.
        """
        mended = []
        for name, (crc, size) in self.read().items():
            path = self._folder / name
            if not path.is_file() or path.stat().st_size != size or size > MOST_BYTES:
                continue
            data = path.read_bytes()
            wrong = f"{zlib.crc32(data) ^ crc:08x}"
            if wrong.strip("0") == "":
                continue
            if len(wrong.strip("0")) == 1:
                self.add([name])
                sync([self.file])
            elif (right := turned_back(data, crc)) is not None:
                with replacing(path) as part:
                    part.write_bytes(right)
            else:
                continue
            mended.append(name)
        return mended


def _sum(path: Path) -> tuple[int, int]:
    crc = size = 0
    with path.open("rb", buffering=0) as file:
        while part := file.read(_AT_ONCE):
            crc, size = zlib.crc32(part, crc), size + len(part)
    return crc, size
