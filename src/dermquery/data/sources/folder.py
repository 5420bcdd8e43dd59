"""The user's own images: a folder with a table, or a folder alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from dermquery.data.case import Case
from dermquery.data.sources.prepare import PrepareError, PrepareReport, Progress, prepare_cases
from dermquery.data.table import read_cases

__all__ = ["find_images", "prepare_folder"]

_ENDINGS = {".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".jp2"}


def prepare_folder(
    folder: Path,
    out: Path,
    *,
    table: Path | None = None,
    columns: Mapping[str, str] | None = None,
    label_from_folder: bool = False,
    size: int = 512,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> PrepareReport:
    """Prepare any folder of images; see :func:`~dermquery.data.sources.prepare.prepare_cases`.

    Args:
        folder: images, at any depth.
        out: folder to write to; an interrupted run is continued.
        table: what is known of the images; its image paths are relative to ``folder`` or to the table.
        columns: the user's column names to ours.
        label_from_folder: without a table, take the name of an image's folder as its diagnosis.
        size: width and height of the images, in pixels.
        skip_bad: leave out rows and images that cannot be used.
        progress: called after each image.

    Raises:
        PrepareError: no folder, no image in it, or two images with one case id.
        CaseTableError: bad rows, all listed, without ``skip_bad``.
    """
    if not folder.is_dir():
        raise PrepareError(f"{folder}: no such folder; give the folder of the images")
    if table is None:
        cases = find_images(folder, label_from_folder=label_from_folder)
    elif label_from_folder:
        raise PrepareError(
            "labels come from the table or from the folders; give one of --table and --label-from-folder"
        )
    else:
        read = read_cases(table, columns=columns, skip_bad=skip_bad, check_images=False).cases
        cases = [case.model_copy(update={"image": _resolved(case.image, table, folder)}) for case in read]
    return prepare_cases(cases, out, source="folder", size=size, skip_bad=skip_bad, progress=progress)


def find_images(folder: Path, *, label_from_folder: bool = False) -> list[Case]:
    """One case for each image below ``folder``, sorted by path; the id is the relative path without its ending."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS and path.is_file())
    if not found:
        raise PrepareError(f"{folder} holds no image; endings looked for: {', '.join(sorted(_ENDINGS))}")
    ids = [_safe_id(path.relative_to(folder)) for path in found]
    if twice := [case_id for case_id, n in Counter(ids).items() if n > 1]:
        raise PrepareError(f"two images would be the case {twice[0]!r}; rename one, or give a table with case ids")
    return [
        Case(case_id=case_id, image=path, diagnosis=_label(path, folder) if label_from_folder else None)
        for case_id, path in zip(ids, found, strict=True)
    ]


def _safe_id(path: Path) -> str:
    """The path without its ending, in letters that every file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(path.with_suffix("").parts)).strip("._-") or "image"


def _label(path: Path, folder: Path) -> str | None:
    return path.parent.name if path.parent != folder else None


def _resolved(image: Path, table: Path, folder: Path) -> Path:
    """`read_cases` resolves against the table; an image that is not there is looked for in the folder of images."""
    if image.exists() or not image.is_relative_to(table.absolute().parent):
        return image
    return folder / image.relative_to(table.absolute().parent)
