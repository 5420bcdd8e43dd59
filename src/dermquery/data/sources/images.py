"""The images below a folder: which there are, how names find them, and what else lies beside them."""

from __future__ import annotations

import filecmp
import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path

from dermquery.data.case import Case
from dermquery.data.dicom.container import is_dicom
from dermquery.data.names import FileNames, alike
from dermquery.data.sources.prepare import PrepareError

__all__ = ["ImageFolder"]

_ENDINGS = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".jp2", ".heic", ".heif",
}  # fmt: skip
_NAMED = 3
_BEGINNINGS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|II\*\0|MM\0\*|II\+\0|MM\0\+|GIF8[79]a"
    rb"|RIFF....WEBP|\0\0\0\x0cjP  |\xff\x4f\xff\x51"
    rb"|....ftyp(?:hei[cxms]|mif1)",
    re.DOTALL,
)
"""How the files of images begin; "BM" of BMP is too short to tell anything."""
_NUMBERED = re.compile(r"\.[0-9]+")
"""No ending: viewers and exports number their files so (IM.0001), or call them by their UIDs."""
_DICOM = "DICOM"


class ImageFolder:
    """The image files at any depth below a folder, known by the ending of their names, or else by how they begin.

    Args:
        folder: where to look.
        without: a folder within it to pass over.

    Attributes:
        paths: the images, sorted.
        others: the files that are no images, sorted; hidden ones too: macOS keeps a "._name.jpg" beside images on
            foreign disks.

    Raises:
        PrepareError: if the folder does not exist or holds no image.
    """

    def __init__(self, folder: Path, *, without: Path | None = None):
        if not folder.is_dir():
            raise PrepareError(f"{folder}: no such folder; give the folder of the images")
        self.folder = folder.absolute()
        beyond = None if without is None else without.absolute()
        paths: list[Path] = []
        self.others: list[Path] = []
        for path in sorted(self.folder.rglob("*")):
            if (beyond and path.is_relative_to(beyond)) or not path.is_file():
                continue
            is_image = not path.name.startswith(".") and (
                path.suffix.lower() in _ENDINGS or (not _ending(path) and _BEGINNINGS.match(_head(path)) is not None)
            )
            (paths if is_image else self.others).append(path)
        self.paths = tuple(paths)
        if not self.paths:
            left = self.left_aside()
            there = f"; there are {left}" if left else ""
            raise PrepareError(f"{folder} holds no image; endings looked for: {', '.join(sorted(_ENDINGS))}{there}")

    def left_aside(self, known: Sequence[Path] = ()) -> str:
        """What is no image, counted by ending with the first names; empty if there is nothing.

        Args:
            known: files that were read as something else.
        """
        read = {path.absolute() for path in known}
        kinds: dict[str, list[str]] = defaultdict(list)
        for path in self.others:
            if path not in read:
                kinds[_kind(path)].append(str(path.relative_to(self.folder)))
        counted = sorted(kinds.items(), key=lambda found: -len(found[1]))
        counts = (
            f"{len(names)} {kind} ({', '.join(names[:_NAMED])}{', …' if len(names) > _NAMED else ''})"
            for kind, names in counted
        )
        remedy = ["for DICOM, use: dermquery data prepare dicom"] if {_DICOM, ".dcm"} & {*kinds} else []
        return "; ".join([*counts, *remedy])

    def cases(self, *, label_from_folder: bool = False) -> list[Case]:
        """One case for each image; its id is the path below the folder without the ending, in safe letters.

        Raises:
            PrepareError: if two images would have one id.
        """
        ids = _ids([path.relative_to(self.folder) for path in self.paths])
        if twice := [case_id for case_id, count in Counter(ids).items() if count > 1]:
            paths = " and ".join(
                str(path) for case_id, path in zip(ids, self.paths, strict=True) if case_id == twice[0]
            )
            raise PrepareError(f"{paths} would both be case {twice[0]!r}; rename one, or give a table with case ids")
        labels = [path.parent.name if label_from_folder and path.parent != self.folder else None for path in self.paths]
        return [
            Case(case_id=case_id, image=path, diagnosis=None if label is None else unicodedata.normalize("NFC", label))
            for case_id, path, label in zip(ids, self.paths, labels, strict=True)
        ]

    def find(self, name: str, *, beside: Path | None = None) -> Path:
        """The image that a table names: a path below this folder, a path beside the table, or a mere file name.

        A file name is looked for at any depth, with or without its ending. Capitals, the composition of letters and
        the kind of slash do not matter. A longer path, as another computer has it, is followed from this folder's name.
        Of several copies of one file the first is taken.

        Args:
            name: the table's cell.
            beside: the table.

        Raises:
            ValueError: if there is none, or more than one.
        """
        if not name:
            raise ValueError("image is empty; fill it in or remove the row")
        if (path := self.found(name, beside)) is None:
            raise ValueError(f"no image {name!r} below {self.folder}; correct the name, or add the image")
        return path

    def found(self, name: str, beside: Path | None = None) -> Path | None:
        """The same; None if there is none.

        Raises:
            ValueError: if there is more than one.
        """
        for names in (self._names, *([self._names_beside(beside.absolute().parent)] if beside else [])):
            if (path := names.find(name)) is not None:
                return path
        found = self._by_name.get(alike(name), [])
        if not found:
            return self._names.below_its_own_name(name)
        if len(found) > 1 and not all(filecmp.cmp(found[0], other, shallow=False) for other in found[1:]):
            raise ValueError(f"{len(found)} images are called {name!r} below {self.folder}; write the path below it")
        return found[0]

    def names(self, value: str, beside: Path | None = None) -> bool:
        """Whether a value names an image, or several."""
        try:
            return self.found(value, beside) is not None
        except ValueError:
            return True

    @cached_property
    def _names(self) -> FileNames:
        return FileNames(self.folder)

    @cached_property
    def _names_beside(self) -> Callable[[Path], FileNames]:
        return cache(FileNames)

    @cached_property
    def _by_name(self) -> Mapping[str, list[Path]]:
        """Images by file name and by file name without ending, as :func:`alike` compares them."""
        names: dict[str, list[Path]] = defaultdict(list)
        for path in self.paths:
            for name in {alike(path.name), alike(_unended(path).name)}:
                names[name].append(path)
        return names


def _kind(path: Path) -> str:
    if path.name.startswith("._") or (path.name.startswith(".") and not path.suffix):
        return "hidden"
    return _ending(path).lower() or (_DICOM if is_dicom(_head(path)) else "without ending")


def _ending(path: Path) -> str:
    return "" if _NUMBERED.fullmatch(path.suffix) else path.suffix


def _unended(path: Path) -> Path:
    return path.with_suffix("") if _ending(path) else path


def _head(path: Path) -> bytes:
    """The first bytes of a file, enough to know it by; none of one that cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(256)
    except OSError:
        return b""


def _ids(paths: Sequence[Path]) -> list[str]:
    """An id for each path: its parts without the ending, in letters and digits of any script, dots, dashes and ``_``.

    Where only a sign that had to be replaced tells two paths apart, a hash does it; an ending or a slash does not.
    """
    plain = [unicodedata.normalize("NFC", "-".join(_unended(path).parts)) for path in paths]
    ids = [_safe_id(name) for name in plain]
    origins: dict[str, set[str]] = defaultdict(set)
    for name, case_id in zip(plain, ids, strict=True):
        origins[case_id].add(name)
    return [
        case_id
        if case_id == name or len(origins[case_id]) == 1
        else f"{case_id}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
        for name, case_id in zip(plain, ids, strict=True)
    ]


def _safe_id(name: str) -> str:
    signs = (sign if sign in "._-" or unicodedata.category(sign)[0] in "LMN" else "\0" for sign in name)
    return re.sub("\0+", "_", "".join(signs)).strip("._-") or "image"
