"""A case base as an ordinary case table and image files, so that what was put in can always be taken out again."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dermquery.data.case import Case
from dermquery.data.case_table import COLUMNS, write_cases
from dermquery.data.files import replacing
from dermquery.data.image import ImageError, image_header
from dermquery.store.archive import ArchiveError, ImageArchive
from dermquery.store.case_images import original_bytes
from dermquery.store.places import home_of
from dermquery.store.protocol import StoredCase
from dermquery.store.row_transfer import Tell

__all__ = ["ExportError", "Exported", "LostImage", "export_base"]

TABLE, IMAGES, MARK = "cases.csv", "images", "export.json"
_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "TIFF": ".tif", "BMP": ".bmp", "WEBP": ".webp",
             "GIF": ".gif", "JPEG2000": ".jp2", "HEIF": ".heic"}  # fmt: skip
_LONGEST_NAME = 80


class ExportError(ValueError):
    """A base cannot be exported to a folder; the message says why and what to do."""


@dataclass(frozen=True)
class LostImage:
    """A case whose image is not where it should be; ``reason`` names the places."""

    case_id: str
    reason: str


@dataclass(frozen=True)
class Exported:
    """What an export holds.

    Attributes:
        table: the case table.
        cases: rows in it.
        images: cases whose image is beside it.
        lost: those whose image is in no place; their row names a place where nothing is.
    """

    table: Path
    cases: int
    images: int
    lost: tuple[LostImage, ...]


def export_base(uri: str | Path, out: Path, *, images: bool = True, tell: Tell | None = None) -> Exported:
    """Write ``cases.csv``, which :func:`~dermquery.data.case_table.read_cases` reads, and the images byte for byte.

    An export that was cut off, or that lacked images, goes on when it is started again: images that are there are not
    written again, and the table, which comes last, is whole or not there.

    Args:
        uri: the base, of any schema.
        out: a folder that is empty, not there yet, or an earlier export of the same base.
        images: copy the images; without, the table names them where the cases came from.
        tell: progress in cases.

    Raises:
        ManifestError: no base there.
        ExportError: ``out`` holds something else, or cannot be written to.
    """
    home = home_of(uri)
    manifest = home.manifest()
    store, archive = home.store(manifest), home.archive(manifest)
    folder = _Folder(out, str(home.uri))
    cases: list[Case] = []
    lost: list[LostImage] = []
    total = store.count()
    for rows in store.scan(vectors=False):
        for row in rows:
            try:
                path = folder.keep(row, archive) if images else row.case.image
            except ArchiveError as error:
                path = folder.missing(row)
                lost.append(LostImage(row.case.case_id, str(error)))
            cases.append(_tabled(row.case, path))
        if tell:
            tell(len(cases), total)
    with folder.writing():
        write_cases(sorted(cases, key=lambda case: case.case_id), out / TABLE)
    n_images = len(cases) - len(lost) if images else 0
    return Exported(out / TABLE, len(cases), n_images, tuple(sorted(lost, key=lambda item: item.case_id)))


class _Folder:
    """The folder of an export, which a file in it marks as that of a base.

    Raises:
        ExportError: it holds something else, or cannot be written to.
    """

    def __init__(self, out: Path, uri: str) -> None:
        self.out = out
        if out.exists() and not out.is_dir():
            raise ExportError(f"{out} is a file; choose a folder for the export")
        with self.writing():
            self._claim(uri)
            files = list((out / IMAGES).iterdir()) if (out / IMAGES).exists() else []
            for path in files:
                if path.name.startswith("."):
                    path.unlink()  # half-written by an export that was killed
        self._there = {path.stem: path for path in files}

    @contextmanager
    def writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, ArchiveError):
                raise
            raise ExportError(
                f"{self.out} cannot be written to ({error}); make room or choose another folder, and run the command "
                "again: it goes on where it stopped"
            ) from error

    def _claim(self, uri: str) -> None:
        mark = self.out / MARK
        if mark.exists():
            try:
                of = json.loads(mark.read_text(encoding="utf-8"))["base"]
            except (ValueError, KeyError, TypeError):
                of = None
            if of != uri:
                raise ExportError(f"{self.out} holds an export of {of or 'another base'}; choose another folder")
        elif self.out.exists() and any(not path.name.startswith(".") for path in self.out.iterdir()):
            raise ExportError(f"{self.out} is not empty and holds no export of this base; choose another folder")
        else:
            with replacing(mark) as part:
                part.write_text(json.dumps({"base": uri}, ensure_ascii=False) + "\n", encoding="utf-8")

    def keep(self, row: StoredCase, archive: ImageArchive | None) -> Path:
        """Where the image of a case lies in the export now; the same path in every run.

        Raises:
            ArchiveError: it is nowhere to be had.
        """
        name = _name(row)
        with self.writing():
            there = self._there.get(name)
            if there is not None and hashlib.sha256(there.read_bytes()).hexdigest() == row.stamp.sha256:
                return there
            data = original_bytes(row, archive)
            path = self.out / IMAGES / f"{name}{_suffix(data)}"
            with replacing(path) as part:
                part.write_bytes(data)
        return path

    def missing(self, row: StoredCase) -> Path:
        """What the table names for an image that is lost: never a file that is there, which would be another image."""
        path = row.case.image
        return self.out / IMAGES / f"{_name(row)}.missing" if path.exists() else path


def _name(row: StoredCase) -> str:
    return f"{_readable(row.case.case_id)}-{row.stamp.sha256[:12]}"


def _readable(case_id: str) -> str:
    """A case id as part of a file name on any system: ASCII letters, digits, ``.``, ``_`` and ``-``."""
    plain = unicodedata.normalize("NFKD", case_id).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._-")[:_LONGEST_NAME] or "case"


def _suffix(data: bytes) -> str:
    """The ending of an image file's name, by its content."""
    try:
        return _SUFFIXES.get(image_header(data)[0], ".img")
    except ImageError:
        return ".img"


def _tabled(case: Case, image: Path) -> Case:
    """The case as its row is written: extra values named like a column of the table get a name of their own."""
    extra = {f"extra {name}" if name in COLUMNS else name: value for name, value in case.extra.items()}
    return case.model_copy(update={"image": image, "extra": extra})
