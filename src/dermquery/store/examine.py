"""A case held against its stored row: what of it is new, and the decoded image if it has to be encoded."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from dermquery.data.case import Case
from dermquery.data.dicom.container import NAMES_SOMEBODY, is_dicom
from dermquery.data.image import ImageError, load_image
from dermquery.data.perceptual_hash import perceptual_hash
from dermquery.store.archive import ArchiveError, ImageArchive, small_copy, thumbnail_of
from dermquery.store.protocol import ImageStamp, StoredCase

__all__ = ["Examined", "Known", "Loader", "examine", "examine_archived"]

_TRIES = 3
_PAUSE = 0.2

Loader = Callable[..., Image.Image]
"""Decodes as :func:`~dermquery.data.image.load_image` does: a file's bytes, and ``name`` and ``least_side``."""
Known = tuple[Case, StoredCase | None]
"""A case, and its row in the store (without vector) if it has one."""


@dataclass(frozen=True)
class Examined:
    """What there is to do about a case.

    Attributes:
        known: whether it has a row.
        image: to be encoded; None where the stored vector is still right.
        stamp: of the image file; None where the case is unchanged or cannot be used.
        unchanged: nothing to do.
        reason: why the image cannot be used, naming the file and the remedy.
    """

    case: Case
    known: bool
    image: Image.Image | None = None
    stamp: ImageStamp | None = None
    unchanged: bool = False
    reason: str | None = None


def examine(
    known: Known,
    *,
    archive: ImageArchive | None,
    least_side: int | None = None,
    load: Loader = load_image,
) -> Examined:
    """Read a case's image, unless file and description are as they were, and keep it in the archive.

    Args:
        known: the case and its row.
        archive: where images are kept, if they are.
        least_side: see :func:`~dermquery.data.image.load_image`.
        load: decodes the image.

    Raises:
        ArchiveError: the image cannot be kept. Whatever is wrong with the image itself is a ``reason`` instead.
    """
    case, old = known
    try:
        str(case.image).encode()
        state = case.image.stat()
        if old and old.case == case and old.stamp.same_file_state(state.st_size, state.st_mtime_ns):
            return Examined(case, known=True, unchanged=True)
        data, state = _read(case.image)
        if is_dicom(data[:256]):
            return _refused(known, f"{case.image}: {NAMES_SOMEBODY}")
        sha256 = hashlib.sha256(data).hexdigest()
        if old and old.stamp.sha256 == sha256 and old.case.checklist == case.checklist:
            stamp = ImageStamp(sha256, state.st_size, state.st_mtime_ns, old.stamp.phash)
            return Examined(case, known=True, stamp=stamp)
        image = load(data, name=str(case.image), least_side=least_side)
    except ImageError as error:
        return _refused(known, str(error))
    except OSError as error:
        return _refused(
            known, f"{case.image}: cannot be read ({error.strerror or error}); check the path and its permissions"
        )
    except UnicodeEncodeError:
        return _refused(known, f"{case.image!r}: the file name is not valid Unicode; rename the file")
    small = small_copy(image)
    if archive is not None:
        archive.put(sha256, data, thumbnail_of(small))
    stamp = ImageStamp(sha256, state.st_size, state.st_mtime_ns, perceptual_hash(small))
    return Examined(case, known=old is not None, stamp=stamp, image=image)


def examine_archived(known: Known, held: ImageStamp, archive: ImageArchive, least_side: int | None = None) -> Examined:
    """The same for a case whose image is in the archive already, as ``held`` says; its file is not looked at."""
    case, old = known
    if old and old.case == case and old.stamp == held:
        return Examined(case, known=True, unchanged=True)
    try:
        image = load_image(archive.original(held.sha256), name=f"the image of {case.case_id!r}", least_side=least_side)
    except (ArchiveError, ImageError) as error:
        return _refused(known, str(error))
    return Examined(case, known=old is not None, stamp=held, image=image)


def _refused(known: Known, reason: str) -> Examined:
    return Examined(known[0], known=known[1] is not None, reason=reason)


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    """Bytes of a file that stood still while it was read, with its state."""
    for _ in range(_TRIES):
        before = path.stat()
        data = path.read_bytes()
        after = path.stat()
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) and len(data) == after.st_size:
            return data, after
        time.sleep(_PAUSE)
    raise OSError(None, "it changes while it is read; run again when it is written")
