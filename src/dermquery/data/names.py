r"""How the names that a table gives find their files, wherever table and files were written.

Windows writes ``images\A.JPG`` and takes capitals for small letters; macOS writes "ä" as two characters. A name is
therefore taken as it stands first, and else compared without these differences.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath

__all__ = ["FileNames", "alike", "slashed"]


def slashed(name: str) -> str:
    """A path with slashes, of one with either slashes or backslashes."""
    return name.replace("\\", "/")


def alike(name: str) -> str:
    """What two names have in common that differ only in capitals, slashes or the composition of their letters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", slashed(name)).casefold())


class FileNames:
    """Finds the files below a folder, and anywhere else by their absolute paths; each folder is listed once.

    Args:
        folder: where relative paths begin.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._listed = cache(_entries)

    def find(self, written: str) -> Path | None:
        """The file of this name; None if there is none, or if several could be meant.

        Args:
            written: a path with slashes or backslashes, relative or absolute.
        """
        try:
            if (exact := self.folder / written).is_file():
                return exact
            path = self.folder / slashed(written)
            return path if path.is_file() else self._alike(PurePosixPath(slashed(written)))
        except (OSError, ValueError):  # too long for the system, or with a zero byte
            return None

    def _alike(self, relative: PurePosixPath) -> Path | None:
        """Follow a path component by component, each compared by :func:`alike`."""
        at = Path(relative.anchor) if relative.is_absolute() else self.folder
        for part in relative.parts[1 if relative.is_absolute() else 0 :]:
            if part == "..":
                at = at.parent
                continue
            found = [part] if (at / part).exists() else self._listed(at).get(alike(part), [])
            if len(found) != 1:
                return None
            at /= found[0]
        return at if at.is_file() else None

    def below_its_own_name(self, written: str) -> Path | None:
        r"""The file of a path that begins further up, such as ``C:\data\images\a.jpg`` for the folder ``images``.

        What stands before must end with this folder's own name, or another file of the same name could be taken.
        """
        parts = PureWindowsPath(written).parts
        for place in range(len(parts) - 1, 0, -1):
            if alike(parts[place - 1]) == alike(self.folder.name):
                return self.find("/".join(parts[place:]))
        return None


def _entries(folder: Path) -> dict[str, list[str]]:
    names: dict[str, list[str]] = defaultdict(list)
    try:
        for entry in folder.iterdir():
            names[alike(entry.name)].append(entry.name)
    except OSError:  # no folder, or one that may not be listed
        pass
    return names
