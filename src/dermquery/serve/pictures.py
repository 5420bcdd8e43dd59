"""Images as they leave the service: upright and encoded again, so that they carry no metadata."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from dermquery.data.image import UprightImage
from dermquery.serve.answers import ImageGoneError
from dermquery.store.archive import ArchiveError, ImageArchive, small_copy, thumbnail_of
from dermquery.store.case_images import original_bytes as kept_bytes
from dermquery.store.protocol import StoredCase

__all__ = ["Decode", "Picture", "clean_picture", "original_bytes", "query_copy", "thumbnail_picture"]

Decode = Callable[[bytes], UprightImage]
_QUERY_SIDE = 1600
_LOSSLESS = frozenset({"PNG", "BMP", "TIFF", "GIF"})


@dataclass(frozen=True)
class Picture:
    """An encoded image without metadata.

    Attributes:
        data: JPEG, or PNG where the original was lossless.
        media_type: of ``data``.
        etag: changes with the original's bytes.
    """

    data: bytes
    media_type: str
    etag: str


def clean_picture(original: bytes, sha256: str, decode: Decode) -> Picture:
    """The whole image, upright and in sRGB, without EXIF, XMP, comments or profile.

    Raises:
        ImageError: it cannot be decoded.
    """
    image = decode(original)
    buffer = io.BytesIO()
    if image.stored_as in _LOSSLESS:
        image.save(buffer, "PNG", compress_level=3)
        return Picture(buffer.getvalue(), "image/png", sha256)
    image.save(buffer, "JPEG", quality=95, subsampling=0)
    return Picture(buffer.getvalue(), "image/jpeg", sha256)


def query_copy(image: Image.Image) -> bytes:
    """A JPEG of a query's image without metadata, of at most 1600 pixels a side, to keep and to show."""
    copy = image.copy()
    copy.thumbnail((_QUERY_SIDE, _QUERY_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    copy.save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def original_bytes(row: StoredCase, archive: ImageArchive | None) -> bytes:
    """The image file from which a case's vector comes (:func:`dermquery.store.case_images.original_bytes`).

    Raises:
        ImageGoneError: it is in neither place.
    """
    try:
        return kept_bytes(row, archive)
    except ArchiveError as error:
        raise ImageGoneError(
            f"the image of case {row.case.case_id!r} is not where it was kept; give the case its image anew"
        ) from error


def thumbnail_picture(row: StoredCase, archive: ImageArchive | None, decode: Decode) -> Picture:
    """A JPEG of at most 256 pixels a side; errors as for :func:`original_bytes` and :func:`clean_picture`."""
    etag = f"{row.stamp.sha256}-small"
    if archive is not None:
        try:
            return Picture(archive.thumbnail(row.stamp.sha256), "image/jpeg", etag)
        except ArchiveError:
            pass
    return Picture(thumbnail_of(small_copy(decode(original_bytes(row, archive)))), "image/jpeg", etag)
