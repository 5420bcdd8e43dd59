"""DICOM objects of a clinic: photographs become cases, one for each frame, de-identified unless that is turned off.

The facts of a case are read from the de-identified attributes, its image is written without metadata, and files are
known by their places: what names a patient ends here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from dermquery.data.decoding import Decoders
from dermquery.data.dicom.container import DicomError
from dermquery.data.dicom.importing import Import
from dermquery.data.dicom.objects import Objects
from dermquery.data.dicom.site_key import SiteKey, default_site_key
from dermquery.data.dicom.site_key import site_key as read_site_key
from dermquery.data.sources.held import entered, held_cases
from dermquery.data.sources.prepare import PrepareError, PrepareReport, Progress, prepare_cases

__all__ = ["ALLOWED", "bounded_decoders", "check_allowed", "prepare_dicom"]

ALLOWED = ("burned-in", "faces")
"""What may be seen in pixels only if it is allowed: burned-in text, and features by which a person is recognised."""
_MOST_PIXELS = 64_000_000
_SECONDS = 60.0
_DECODERS = 2


def prepare_dicom(
    source: Path,
    out: Path,
    *,
    site_key: Path | None = None,
    keep_identity: bool = False,
    allow: frozenset[str] = frozenset(),
    objects: Path | None = None,
    name_files: bool = False,
    clinic: str = "DICOM",
    size: int | None = None,
    crop: bool = False,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> PrepareReport:
    """Prepare DICOM photographs; see :func:`~dermquery.data.sources.prepare.prepare_cases`.

    Args:
        source: a folder, a file, a DICOMDIR or a ZIP archive of objects.
        out: folder to write to; an interrupted run is continued.
        site_key: file of the key that pseudonyms are made with; made if it is not there. None for the usual place.
        keep_identity: leave ids, UIDs and dates as they are.
        allow: of :data:`ALLOWED`.
        objects: folder for de-identified copies of the objects; None writes none.
        name_files: call files by their names in messages, not by their places.
        clinic: what is recorded as the source of the cases.
        size: squares of so many pixels without borders, as in the paper; None keeps the images as they came.
        crop: remove the borders and keep the proportions.
        skip_bad: leave out objects that cannot be used; they are listed in the report.
        progress: called after each image.

    Raises:
        PrepareError: there is nothing to read, no photograph in it, or ``out`` was prepared in another way.
        SiteKeyError: the key cannot be used.
    """
    check_allowed(allow)
    if keep_identity and objects:
        raise PrepareError("de-identified copies are written only when identities are removed; leave one out")
    with _opened(source, out, None if keep_identity else site_key or default_site_key()) as (files, key):
        importing = Import(key, allow, clinic, named=name_files or keep_identity)
        for file in files.files:
            importing.take(file)
        if not importing.frames:
            reasons = [*importing.notes(files.beyond), *(f"{bad.case_id}: {bad.reason}" for bad in importing.bad[:5])]
            raise PrepareError("; ".join([f"{source}: no photograph to prepare", *reasons]))
        earlier = {case.case_id: case for case in held_cases(out)}
        cases, kept = entered([frame.case for frame in importing.frames.values()], earlier)
        for case in cases:
            earlier.pop(case.case_id, None)
        decoders = bounded_decoders()
        try:
            report = prepare_cases(
                cases, out, earlier=tuple(earlier.values()),
                source="dicom with identity" if keep_identity else "dicom",
                size=size, crop=crop, skip_bad=skip_bad, progress=progress,
                read=partial(importing.opened, decoders=decoders), bad=importing.bad,
            )  # fmt: skip
            written = {case.case_id for case in report.cases} if objects else set()
            unwritten = importing.write_objects(objects, decoders, written) if objects else ()
        finally:
            decoders.close()
        stay = (f"{len(earlier)} cases of earlier imports stay in the table",) if earlier else ()
        notes = (*kept, *report.notes, *importing.notes(files.beyond), *stay)
        return dataclasses.replace(report, bad=(*report.bad, *unwritten), notes=notes)


@contextmanager
def _opened(source: Path, out: Path, key: Path | None) -> Iterator[tuple[Objects, SiteKey | None]]:
    """The files to read, and the key if there is to be one."""
    try:
        files = Objects(source, without=out)
    except DicomError as error:
        raise PrepareError(f"{source}: {error}") from error
    with closing(files):
        yield files, None if key is None else read_site_key(key)


def check_allowed(allow: frozenset[str]) -> None:
    """Raise PrepareError unless all are of :data:`ALLOWED`."""
    if unknown := sorted(allow - set(ALLOWED)):
        raise PrepareError(f"nothing to allow is called {unknown[0]!r}; use some of: {', '.join(ALLOWED)}")


def bounded_decoders() -> Decoders:
    """What decodes the pixels of an import, in bounded time and memory."""
    return Decoders(_DECODERS, max_pixels=_MOST_PIXELS, seconds=_SECONDS)
