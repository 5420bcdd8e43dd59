"""The names of the files in a ZIP archive, whatever packed it.

The format's own encoding is CP 437, or UTF-8 where a flag says so. macOS writes UTF-8 without the flag, Windows the
code page of its console, and Info-ZIP adds the name in UTF-8 beside the other.
"""

from __future__ import annotations

import posixpath
import struct
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator

from dermquery.data.names import alike, slashed

__all__ = ["ArchiveNames", "files_shown"]

_UTF8_FLAG, _UNICODE_PATH = 0x800, 0x7075
_CODE_PAGES = ("cp437", "cp850", "cp1252")
"""The first as the format says, the others as Windows writes in Western Europe; most letters are the same in both."""


def _spellings(info: zipfile.ZipInfo) -> tuple[str, ...]:
    """What a file's name may be, with slashes; the first is the one to show. None for a file without a name."""
    written = info.orig_filename.partition("\0")[0]
    if info.flag_bits & _UTF8_FLAG:
        names = [written]
    else:
        raw = written.encode("cp437", errors="replace")
        names = [named] if (named := _unicode_path(info.extra, raw) or _decoded(raw, "utf-8")) else []
        names = names or [name for page in _CODE_PAGES if (name := _decoded(raw, page))]
    return tuple(dict.fromkeys(slashed(name) for name in names if name))


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return ""


def _unicode_path(extra: bytes, raw: bytes) -> str:
    """The name in Info-ZIP's extra field, if it belongs to the name beside it."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        field = extra[at + 4 : at + 4 + length]
        if kind == _UNICODE_PATH and len(field) > 5 and struct.unpack_from("<BL", field) == (1, zlib.crc32(raw)):
            return _decoded(field[5:], "utf-8")
        at += 4 + length
    return ""


def _is_shown(name: str) -> bool:
    """Whether a file is not hidden: macOS adds a "__MACOSX/._name.jpg" to every image."""
    parts = name.split("/")
    return not any(part.startswith(".") and part not in (".", "..") for part in parts) and parts[0] != "__MACOSX"


class ArchiveNames:
    """Finds a file of an archive by what a table says.

    Args:
        names: of each file, every spelling; the first one names it in the answers.
    """

    def __init__(self, names: Iterable[tuple[str, ...]]) -> None:
        self._paths: dict[str, set[str]] = defaultdict(set)
        self._ends: dict[str, set[str]] = defaultdict(set)
        self._flat = True
        self._exact: set[str] = set()
        for spelt in names:
            self._exact.add(spelt[0])
            for name in spelt:
                path = alike(name)
                last = posixpath.basename(path)
                self._flat &= "/" not in path
                self._paths[path].add(spelt[0])
                for known in {last, posixpath.splitext(last)[0]}:
                    self._ends[known].add(spelt[0])
        self._cells: dict[str, set[str]] = defaultdict(set)

    def find(self, cell: str, table: str) -> str:
        """The file that an image cell names: a path from the table's folder or the archive's root, or a bare name.

        Of images that were sent one by one only the last part of a path is left; :meth:`mixed_up` says where that
        could be two images.

        Raises:
            ValueError: there is none, or more than one.
        """
        for folder in (posixpath.dirname(table), ""):
            path = posixpath.normpath(posixpath.join(folder, slashed(cell)))
            if path in self._exact:
                return path
            if found := self._paths.get(alike(path), set()) - {table}:
                return self._only(found, cell)
        written = alike(cell)
        if "/" in written and not self._flat:
            found = set()
        else:
            found = self._ends.get(posixpath.basename(written), set()) - {table}
        if not found:
            raise ValueError(f"no image {cell!r} was sent; correct the name, or add the image")
        name = self._only(found, cell)
        if "/" in written:
            self._cells[name].add(posixpath.normpath(written))
        return name

    def mixed_up(self, name: str) -> str:
        """Why a file that was found may be another image; empty if it is the only one that could be meant."""
        if len(self._cells.get(name, ())) < 2:
            return ""
        return (
            f"{' and '.join(sorted(self._cells[name])[:3])} are different images, but only one {name!r} was sent; "
            "send a ZIP file that keeps the folders"
        )

    @staticmethod
    def _only(found: set[str], cell: str) -> str:
        if len(found) > 1:
            raise ValueError(f"{len(found)} images are called {cell!r}; write the path in the archive")
        return next(iter(found))


def files_shown(infos: Iterable[zipfile.ZipInfo]) -> Iterator[tuple[tuple[str, ...], zipfile.ZipInfo]]:
    """The files that are neither folders nor hidden nor nameless, each with the spellings of its name."""
    for info in infos:
        names = _spellings(info)
        if names and not names[0].endswith("/") and _is_shown(names[0]):
            yield tuple(posixpath.normpath(name) for name in names), info
