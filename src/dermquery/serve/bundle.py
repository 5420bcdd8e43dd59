"""An uploaded table with its images: one ZIP file. No file is ever unpacked under a name from the archive."""

from __future__ import annotations

import json
import posixpath
import shutil
import struct
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from dermquery.data.case import Case
from dermquery.data.case_table import COLUMNS, read_cases
from dermquery.data.files import replacing
from dermquery.data.names import slashed
from dermquery.data.rows import BadRow, CaseTableError, read_rows
from dermquery.data.sources.keeping import not_kept
from dermquery.data.sources.lesions import within_patients
from dermquery.serve.archive_names import ArchiveNames, files_shown
from dermquery.serve.fields import CaseFields

__all__ = ["Bundle", "BundleError", "Entry", "pack"]

_TABLES = (".csv", ".tsv", ".tab", ".parquet", ".pq")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MOST_ENTRIES, _TABLE_BYTES, _DIRECTORY_BYTES = 200_000, 64 << 20, 128 << 20
_HEADER = struct.Struct("<4s24x3H12x")
"""A file's entry in the directory of an archive: signature, and the lengths of name, extra field and comment."""

Entry = tuple[CaseFields, str]
"""A case and the name of its image in the bundle."""


class BundleError(ValueError):
    """The upload is no table with images; the message says what to send."""


def pack(target: Path, files: Iterable[tuple[str, BinaryIO]]) -> None:
    """Put single files into one ZIP file, by the last part of their names.

    Raises:
        BundleError: two files of one name.
    """
    seen: set[str] = set()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, stream in files:
            short = slashed(name).rpartition("/")[2]
            if not short or short in seen:
                raise BundleError(f"two files are called {short!r}, or one has no name; give each its own")
            seen.add(short)
            with archive.open(zipfile.ZipInfo(short), "w") as part:
                shutil.copyfileobj(stream, part)


class Bundle:
    """A ZIP file of a case table and images, of which one with more than ``image_bytes`` is not read.

    Attributes:
        left_out: columns of the table that may name a person, each with the reason; known after :meth:`entries`.
        notes: what else there is to tell of the table; known then, too.

    Raises:
        BundleError: no ZIP file, one that is encrypted or compressed unusually, or too many files in it.
    """

    def __init__(self, path: Path, image_bytes: int) -> None:
        self._limit = image_bytes
        self.left_out: Mapping[str, str] = {}
        self.notes: tuple[str, ...] = ()
        try:
            with path.open("rb") as file:
                _check_directory(file)
            self._zip = zipfile.ZipFile(path)
        except BundleError:
            raise
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise BundleError(f"the archive is no ZIP file that can be read ({error}); pack it again") from error
        shown = list(files_shown(self._zip.infolist()))
        self._files = {names[0]: info for names, info in shown}
        self._names = ArchiveNames(names for names, _ in shown)
        for name, info in self._files.items():
            if info.flag_bits & 1 or info.compress_type not in _METHODS:
                self.close()
                raise BundleError(f"{name} is encrypted or compressed unusually; pack it as a plain ZIP file")
        counted = Counter(names[0] for names, _ in shown)
        if twice := [name for name, count in counted.items() if count > 1]:
            self.close()
            raise BundleError(f"two files in the archive are called {twice[0]!r}; give each its own name")

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def entries(
        self, scratch: Path, *, skip_bad: bool, keep: Collection[str] = ()
    ) -> tuple[list[Entry], tuple[BadRow, ...]]:
        """The cases of the table with the names of their images, and the rows that cannot be used.

        Of its further columns those are kept that :mod:`~dermquery.data.sources.keeping` keeps, and those of ``keep``.
        A temporary copy of the table stands in ``scratch``.

        Raises:
            BundleError: not exactly one table.
            CaseTableError: bad rows, without ``skip_bad``, or no good one.
        """
        names = [name for name in self._files if name.lower().endswith(_TABLES)]
        if len(names) != 1:
            found = ", ".join(sorted(names)[:5]) or "none"
            raise BundleError(f"there must be one case table (.csv, .tsv or .parquet), found: {found}")
        table = names[0]
        file = scratch / f"table{posixpath.splitext(table)[1].lower()}"
        file.write_bytes(self._read(table, _TABLE_BYTES))
        try:
            rows = read_rows(file, _MOST_ENTRIES)
            self.left_out, _ = not_kept(file, rows, named=[*COLUMNS, *keep])
            read = read_cases(
                file, skip_bad=True, find_image=lambda cell: Path(self._names.find(cell, table)), rows=rows,
                ignore=[*self.left_out],
            )  # fmt: skip
        except CaseTableError as error:
            raise CaseTableError(str(error).replace(str(file), table), error.rows) from error
        finally:
            file.unlink()
        cases, numbered = within_patients(read.cases)
        self.notes = tuple(note.replace(str(file), table) for note in (*read.notes, *numbered))
        entries, bad = self._checked(cases)
        bad = [*read.skipped, *bad]
        if bad and (not skip_bad or not entries):
            places = [f"line {row.line} ({row.case_id!r})" if row.line else f"case {row.case_id!r}" for row in bad[:3]]
            shown = "; ".join(f"{place}: {', '.join(row.problems)}" for place, row in zip(places, bad, strict=False))
            raise CaseTableError(
                f"{table}: {len(bad)} of {len(bad) + len(entries)} rows cannot be used, so nothing was taken: {shown}. "
                "Correct them, or send skip_bad=true to leave them out",
                bad,
            )
        return entries, tuple(bad)

    def _checked(self, cases: Iterable[Case]) -> tuple[list[Entry], list[BadRow]]:
        """Those that the service takes, as people may send them, and the others."""
        entries, bad = list[Entry](), list[BadRow]()
        for case in cases:
            if mixed := self._names.mixed_up(str(case.image)):
                bad.append(BadRow(0, case.case_id, (mixed,)))
                continue
            fields = {name: getattr(case, name) for name in CaseFields.model_fields}
            try:
                entries.append((CaseFields.model_validate(fields), case.image.as_posix()))
            except ValidationError as error:
                faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
                bad.append(BadRow(0, case.case_id, tuple(faults)))
        return entries, bad

    def extract(self, name: str, target: Path) -> None:
        """Write one image to a file whose name is ours.

        Raises:
            BundleError: it is larger than allowed, or damaged.
        """
        target.write_bytes(self._read(name, self._limit))

    def _read(self, name: str, limit: int) -> bytes:
        """Unpack a file, at most ``limit`` bytes of it, whatever size the archive claims."""
        try:
            with self._zip.open(self._files[name]) as file:
                data = file.read(limit + 1)
        except Exception as error:  # of many kinds, one of which (zlib.error) derives from Exception directly
            raise BundleError(f"{name}: damaged within the archive ({error}); pack it again") from error
        if len(data) > limit:
            raise BundleError(f"{name}: more than {limit / (1 << 20):.4g} MiB; make it smaller")
        return data


def save_entries(entries: Sequence[Entry], path: Path) -> None:
    """Write the cases of a bundle, so that nobody reads its table again."""
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        for fields, name in entries:
            file.write(json.dumps({"case": fields.model_dump(mode="json"), "image": name}, ensure_ascii=False) + "\n")


def load_entries(path: Path) -> Iterator[Entry]:
    """Read what :func:`save_entries` wrote."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            record = json.loads(line)
            yield CaseFields.model_validate_json(json.dumps(record["case"])), record["image"]


def _check_directory(file: BinaryIO) -> None:
    """Count the files of an archive before :class:`zipfile.ZipFile` creates an object for each.

    This finds the directory as ``ZipFile`` itself does, so that no archive can show us a different one, and like it
    ignores the count that the archive states.

    Raises:
        BundleError: too many files, or too large a directory.
        zipfile.BadZipFile: there is no directory where the archive says.
    """
    end: list[Any] | None = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # noqa: SLF001
    if end is None:
        raise zipfile.BadZipFile("it is cut off: there is no directory at its end")
    signature, size, place = end[0], end[5], end[9]
    if size > _DIRECTORY_BYTES:
        raise BundleError(f"the names in the archive take more than {_DIRECTORY_BYTES >> 20} MiB; send it in parts")
    start = place - size - (76 if signature == b"PK\x06\x06" else 0)  # two ZIP64 records follow it
    if start < 0:
        raise zipfile.BadZipFile("its directory would begin before the file")
    file.seek(start)
    directory, at = file.read(size), 0
    for _ in range(_MOST_ENTRIES):
        if at >= len(directory):
            return
        if len(directory) - at < _HEADER.size:
            raise zipfile.BadZipFile("its directory is cut off")
        mark, *lengths = _HEADER.unpack_from(directory, at)
        if mark != b"PK\x01\x02":
            raise zipfile.BadZipFile("its directory is damaged")
        at += _HEADER.size + sum(lengths)
    if at < len(directory):
        raise BundleError(f"the archive has more than {_MOST_ENTRIES:,} files; send it in parts")
