"""Prepare the user's own images: a folder with a table, or a folder alone."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, partial
from pathlib import Path

from dermquery.data.case import Case
from dermquery.data.case_table import read_cases
from dermquery.data.names import FileNames, alike
from dermquery.data.sources.prepare import BadImage, PrepareError, PrepareReport, Progress, prepare_cases

__all__ = ["ImageFolder", "prepare_folder"]

_ENDINGS = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".jp2", ".heic", ".heif",
}  # fmt: skip


def prepare_folder(
    folder: Path,
    out: Path,
    *,
    table: Path | None = None,
    columns: Mapping[str, str] | None = None,
    label_from_folder: bool = False,
    size: int | None = None,
    crop: bool = False,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> PrepareReport:
    """Prepare any folder of images; see :func:`~dermquery.data.sources.prepare.prepare_cases`.

    Args:
        folder: images, at any depth.
        out: folder to write to; an interrupted run is continued. Within ``folder``, its images are passed over.
        table: facts about the images, which it names as :meth:`ImageFolder.find` understands. Without an image column,
            the case id is the name.
        columns: the user's column names mapped to ours.
        label_from_folder: without a table, take the name of an image's folder as its diagnosis.
        size: squares of so many pixels without borders, as in the paper; None keeps the images as they came.
        crop: remove the borders and keep the proportions.
        skip_bad: leave out rows and images that cannot be used; they are listed in the report.
        progress: called after each image.

    Raises:
        PrepareError: no folder, no image in it, two images with one case id, or options that exclude each other.
        CaseTableError: bad rows, all listed, without ``skip_bad``.
    """
    if out.resolve() == folder.resolve():
        raise PrepareError(f"{out} is the folder whose images are read; prepare into another one")
    images = ImageFolder(folder, without=out)
    rows: tuple[BadImage, ...] = ()
    note = ""
    if table is None:
        if columns:
            raise PrepareError("a column mapping needs a table; give it with --table")
        cases = images.cases(label_from_folder=label_from_folder)
    elif label_from_folder:
        raise PrepareError("the labels come from the table or from the folders; give --table or --label-from-folder")
    else:
        read = read_cases(table, columns=columns, skip_bad=skip_bad, find_image=partial(images.find, beside=table))
        cases, note = list(read.cases), read.note
        rows = tuple(
            BadImage(row.case_id, f"{table}, line {row.line}: {'; '.join(row.problems)}") for row in read.skipped
        )
    report = prepare_cases(cases, out, source="folder", size=size, crop=crop, skip_bad=skip_bad, progress=progress)
    return dataclasses.replace(report, bad=(*rows, *report.bad), note=note)


class ImageFolder:
    """The image files at any depth below a folder, known by the ending of their names.

    Args:
        folder: where to look.
        without: a folder within it to pass over.

    Raises:
        PrepareError: if the folder does not exist or holds no image.
    """

    def __init__(self, folder: Path, *, without: Path | None = None):
        if not folder.is_dir():
            raise PrepareError(f"{folder}: no such folder; give the folder of the images")
        self.folder = folder.absolute()
        beyond = None if without is None else without.absolute()
        self.paths = tuple(
            sorted(
                path
                for path in self.folder.rglob("*")
                if _is_image(path) and not (beyond and path.is_relative_to(beyond))
            )
        )
        if not self.paths:
            raise PrepareError(f"{folder} holds no image; endings looked for: {', '.join(sorted(_ENDINGS))}")

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

        Args:
            name: the table's cell.
            beside: the table.

        Raises:
            ValueError: if there is none, or more than one.
        """
        if not name:
            raise ValueError("image is empty; fill it in or remove the row")
        for names in (self._names, *([self._names_beside(beside.absolute().parent)] if beside else [])):
            if (path := names.find(name)) is not None:
                return path
        found = self._by_name.get(alike(name), [])
        if not found and (path := self._names.below_its_own_name(name)) is not None:
            return path
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"{len(found)} images are called {name!r} below {self.folder}; write the path below it")
        raise ValueError(f"no image {name!r} below {self.folder}; correct the name, or add the image")

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
            for name in {alike(path.name), alike(path.stem)}:
                names[name].append(path)
        return names


def _is_image(path: Path) -> bool:
    """Hidden files are left out: macOS keeps a "._name.jpg" beside images on foreign disks."""
    return path.suffix.lower() in _ENDINGS and not path.name.startswith(".") and path.is_file()


def _ids(paths: Sequence[Path]) -> list[str]:
    """An id for each path: its parts without the ending, in letters and digits of any script, dots, dashes and ``_``.

    Where only a sign that had to be replaced tells two paths apart, a hash does it; an ending or a slash does not.
    """
    plain = [unicodedata.normalize("NFC", "-".join(path.with_suffix("").parts)) for path in paths]
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
