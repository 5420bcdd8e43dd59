"""The files of a DICOM import: of a folder, a single file, a DICOMDIR's list, or a ZIP archive.

What a file is called often names the patient, so an object is known by its place in the sorted list, unless names are
asked for.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from dermquery.data.dicom.container import DicomError, is_dicom
from dermquery.data.dicom.header import Header, read_header
from dermquery.data.dicom.quiet import quiet
from dermquery.data.dicom.values import texts, value
from dermquery.data.names import FileNames

__all__ = ["DicomFile", "Objects", "is_packed"]

_MOST_FILE = 1 << 30
_MOST_MEMBER = 512 << 20
_MOST_MEMBERS = 200_000
_MOST_RATIO, _FREE = 100, 1 << 30
"""How many times an archive's own size it may hold, beyond what is harmless; photographs halve at best."""
_DIRECTORY = "1.2.840.10008.1.3.10"
_MOST_RECORDS = 4 << 20
"""Bytes of a directory's records."""


_ARCHIVE = b"PK\x03\x04"
"""How a ZIP file begins."""
_DOCUMENTS = (b"[Content_Types].xml", b"mimetype", b"META-INF/")
"""How the first member is called of the ZIP files that are documents or programs."""


@dataclass(frozen=True)
class DicomFile:
    """One file.

    Attributes:
        place: from 1, in the sorted list.
        name: below the folder or in the archive; it may name the patient.
        source: the file, or the archive that holds it.
        member: of the archive.
    """

    place: int
    name: str
    source: Path | zipfile.ZipFile
    member: zipfile.ZipInfo | None = None

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """A stream that can seek.

        Raises:
            DicomError: it is too large, or damaged within its archive.
            OSError: it cannot be read.
        """
        if isinstance(self.source, Path):
            if self.source.stat().st_size > _MOST_FILE:
                raise DicomError(f"more than {_MOST_FILE >> 20} MiB; export its frames as objects of their own")
            with self.source.open("rb") as file:
                yield file
            return
        yield io.BytesIO(self._unpacked(self.source, cast("zipfile.ZipInfo", self.member)))

    def read(self) -> bytes:
        """All bytes. Errors as for :meth:`opened`."""
        with self.opened() as stream:
            return stream.read()

    def head(self) -> bytes:
        """Its first 256 bytes; of one in an archive, no more is unpacked for that. Errors as for :meth:`opened`."""
        if isinstance(self.source, Path):
            with self.source.open("rb") as file:
                return file.read(256)
        return self._unpacked(self.source, cast("zipfile.ZipInfo", self.member), 256)

    @staticmethod
    def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, head: int | None = None) -> bytes:
        if head is None and member.file_size > _MOST_MEMBER:
            raise DicomError(f"more than {_MOST_MEMBER >> 20} MiB in an archive; unpack it, and give the folder")
        try:
            with archive.open(member) as file:
                return file.read(_MOST_MEMBER if head is None else head)
        except OSError:
            raise
        except Exception as error:  # zipfile and zlib raise many kinds
            reason = type(error).__name__
            raise DicomError(f"damaged or encrypted within its archive ({reason}); pack it again") from error


def is_packed(head: bytes) -> bool:
    """Whether a file that begins so is a ZIP archive that may hold objects."""
    return head.startswith(_ARCHIVE) and not head[30:].startswith(_DOCUMENTS)


class Objects:
    """The files to import.

    Args:
        source: a folder, a file, a DICOMDIR or a ZIP archive.
        without: a folder within it to pass over.

    Raises:
        DicomError: there is nothing of that name, or the archive is none, or would unpack to too much.
    """

    def __init__(self, source: Path, *, without: Path | None = None) -> None:
        self._archive: zipfile.ZipFile | None = None
        self.beyond = 0
        if source.is_dir():
            self.files = tuple(_in_folder(source, without))
        elif not source.is_file():
            raise DicomError("no such file or folder; check the path")
        elif _is_archive(source):
            self._archive = _opened(source)
            self.files = tuple(_in_archive(self._archive, source.stat().st_size))
        else:
            directory = _directory(source)
            self.files = (DicomFile(1, source.name, source),)
            if directory is not None:
                self.files, self.beyond = _listed(directory, source)

    def close(self) -> None:
        """Close the archive."""
        if self._archive is not None:
            self._archive.close()


def _is_archive(path: Path) -> bool:
    """Whether it is a ZIP file, also one that was cut off and so lost the directory at its end."""
    with path.open("rb") as file:
        return file.read(len(_ARCHIVE)) == _ARCHIVE or zipfile.is_zipfile(path)


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise DicomError(f"the archive is cut off or damaged ({error}); copy or pack it again") from error


def _in_folder(folder: Path, without: Path | None) -> Iterator[DicomFile]:
    beyond = None if without is None else without.resolve()
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    kept = sorted(path for path in found if not (beyond and path.resolve().is_relative_to(beyond)))
    for place, path in enumerate(kept, start=1):
        yield DicomFile(place, path.relative_to(folder).as_posix(), path)


def _in_archive(archive: zipfile.ZipFile, size: int) -> Iterator[DicomFile]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    whole = sum(member.file_size for member in members)
    if len(members) > _MOST_MEMBERS or whole > max(_FREE, _MOST_RATIO * size):
        archive.close()
        raise DicomError(
            f"the archive of {size:,} bytes would unpack to {whole:,} bytes in {len(members):,} files; if you trust "
            "it, unpack it yourself, and give the folder"
        )
    for place, member in enumerate(sorted(members, key=lambda member: member.filename), start=1):
        yield DicomFile(place, member.filename, archive, member)


def _directory(path: Path) -> Header | None:
    """The file as a DICOMDIR; None if it is none."""
    with path.open("rb") as stream:
        if not is_dicom(stream.read(256)):
            return None
        try:
            header = read_header(stream)
        except DicomError:
            return None  # said when it is read as an object
    stated = header.class_uid == _DIRECTORY or "DirectoryRecordSequence" in header.dataset
    return header if stated else None


def _listed(directory: Header, path: Path) -> tuple[tuple[DicomFile, ...], int]:
    """The files that a DICOMDIR lists, and how many of its records name none that is below its folder."""
    folder, names = path.parent.resolve(), FileNames(path.parent)
    found: dict[Path, str] = {}
    beyond = 0
    for record in _records(directory):
        parts = texts(record, "ReferencedFileID")
        if not parts:
            continue
        file = names.find("/".join(parts)) if all(map(_is_plain, parts)) else None
        if file is None or not file.resolve().is_relative_to(folder):
            beyond += 1
        else:
            found.setdefault(file, "/".join(parts))
    return tuple(DicomFile(place, name, file) for place, (file, name) in enumerate(found.items(), start=1)), beyond


def _records(directory: Header) -> list[Dataset]:
    raw: object = directory.dataset.get_item(Tag("DirectoryRecordSequence"))
    if isinstance(raw, RawDataElement) and len(raw.value or b"") > _MOST_RECORDS:
        raise DicomError(f"a DICOMDIR of more than {_MOST_RECORDS >> 20} MiB; give its folder instead")
    with quiet():
        found = value(directory.dataset, "DirectoryRecordSequence")
    return list(found) if isinstance(found, Sequence) else []


def _is_plain(part: str) -> bool:
    return part not in ("", ".", "..") and not set(part) & set("/\\:\0")
