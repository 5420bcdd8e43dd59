"""The images that the rows of a base stand for: their bytes, and whether they can be reached at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dermquery.data.image import ImageError, load_image
from dermquery.data.perceptual_hash import perceptual_hash
from dermquery.store.archive import ArchiveError, ImageArchive, small_copy
from dermquery.store.protocol import StoredCase

__all__ = ["MissingImagesError", "Reachable", "count_reachable", "original_bytes", "shortened", "with_hash"]

_SHOWN = 5


class MissingImagesError(ArchiveError):
    """An archive does not hold what it should; the message says how many images, which and what to do."""


@dataclass(frozen=True)
class Reachable:
    """How many cases of a base have an image that can be reached.

    Attributes:
        cases: in the base.
        missing: ids of those without one, sorted.
        archive: URL of the archive; None where cases only name their files.
    """

    cases: int
    missing: tuple[str, ...]
    archive: str | None

    def __str__(self) -> str:
        n = f"{self.cases - len(self.missing)} of {self.cases} images"
        return f"{n} are in {self.archive}" if self.archive else f"{n} are in the files that the cases name"

    def check(self, done: str) -> None:
        """Refuse an archive that lacks images.

        Args:
            done: what is done nevertheless, for the message.

        Raises:
            MissingImagesError: naming the archive and the first cases.
        """
        if self.missing and self.archive:
            raise MissingImagesError(
                f"{done}, but only {self}; missing are those of {shortened(self.missing)}. Bring them back from "
                "a backup, and run the command again"
            )


def shortened(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def count_reachable(pages: Iterable[Sequence[StoredCase]], archive: ImageArchive | None) -> Reachable:
    """Whether the archive, or without one the case's own file, is there for every case, in its full length.

    Nothing is read, so an image that is damaged within is counted; whoever reads it is told.

    Raises:
        ArchiveError: the archive cannot be reached at all.
    """
    sizes = None if archive is None else archive.sizes()
    cases = 0
    missing: list[str] = []
    for rows in pages:
        cases += len(rows)
        there = [row.case.image.is_file() if sizes is None else _whole(row, sizes(row.stamp.sha256)) for row in rows]
        missing += [row.case.case_id for row, is_there in zip(rows, there, strict=True) if not is_there]
    return Reachable(cases, tuple(sorted(missing)), None if archive is None else archive.lasting_url)


def _whole(row: StoredCase, size: int | None) -> bool:
    """Whether a file of so many bytes may be the image of a row; a row without a length is content with any."""
    return size is not None and row.stamp.size in (0, size)


def original_bytes(row: StoredCase, archive: ImageArchive | None) -> bytes:
    """The image file that a case's vector was made of: from the archive, else the file that the case names.

    The file is only taken if it is still the one that was indexed.

    Raises:
        ArchiveError: it is in neither place.
    """
    sha256, reason = row.stamp.sha256, "the base keeps no images"
    if archive is not None:
        try:
            return archive.original(sha256)
        except ArchiveError as error:
            reason = str(error)  # an image that was lost there may still be where the case came from
    try:
        data = row.case.image.read_bytes()
    except OSError as error:
        raise ArchiveError(f"{reason}; {row.case.image}: {error.strerror or error}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ArchiveError(f"{reason}; {row.case.image} is another image than the one that was indexed")
    return data


def with_hash(row: StoredCase, archive: ImageArchive | None) -> StoredCase:
    """The row with its perceptual hash, which bases before schema 3 lack; as it is where the image is gone."""
    if row.stamp.phash:
        return row
    try:
        small = small_copy(load_image(original_bytes(row, archive)))
    except (ArchiveError, ImageError):
        return row
    return replace(row, stamp=replace(row.stamp, phash=perceptual_hash(small)))
