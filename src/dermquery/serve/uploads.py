"""Images uploaded for a query: checked at once, kept in memory for a while, and only for their owner."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from dermquery.data.image import UprightImage
from dermquery.serve.kept import Kept
from dermquery.serve.pictures import Decode, query_copy
from dermquery.serve.prepared import KEPT_SECONDS, new_key

__all__ = ["Crop", "ExpiredImageError", "KeptImage", "KeptImages", "edited", "read_crop", "turned_and_cropped"]

Crop = tuple[float, float, float, float]
"""Left, top, width and height as fractions of the turned image."""

_BYTES = 256 * 2**20
_PER_OWNER = 24


class ExpiredImageError(KeyError):
    """An image is not kept any more, or belongs to somebody else."""


@dataclass(frozen=True, eq=False)
class KeptImage:
    """An uploaded image.

    Attributes:
        key: names it for its owner.
        owner: who may use it.
        data: the file as uploaded, so that a search gives the same answer as through the API.
        shown: upright JPEG of at most 1600 pixels a side, without metadata, for the browser.
    """

    key: str
    owner: str
    data: bytes
    shown: bytes


class KeptImages:
    """The images, bounded in number, size and time. Safe to use from several threads."""

    def __init__(self, decode: Decode, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._decode = decode
        self._images = Kept[tuple[str, str], KeptImage](
            lifetime=KEPT_SECONDS, clock=clock, most_each=_PER_OWNER, owner=lambda image: image.owner,
            most_bytes=_BYTES, size=lambda image: len(image.data) + len(image.shown),
        )  # fmt: skip

    def keep(self, owner: str, data: bytes) -> tuple[KeptImage, UprightImage]:
        """Check an image and keep it; also gives the decoded image.

        Raises:
            ImageError: it cannot be used; the message says why and what to do.
        """
        image = self._decode(data)
        kept = KeptImage(new_key(), owner, data, query_copy(image))
        return self._images.put((owner, kept.key), kept), image

    def of(self, owner: str, key: str) -> KeptImage:
        """An image of this owner.

        Raises:
            ExpiredImageError: it has expired, or is somebody else's, which is not told apart.
        """
        kept = self._images.get((owner, key), touch=False)
        if kept is None:
            raise ExpiredImageError(key)
        return kept


_TURNS = {1: Image.Transpose.ROTATE_270, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_90}


def edited(data: bytes, turn: int, crop: Crop | None, decode: Decode) -> bytes:
    """An image file as :func:`turned_and_cropped`, a PNG; the file itself if there is nothing to do."""
    if not turn % 4 and crop is None:
        return data
    buffer = io.BytesIO()
    turned_and_cropped(decode(data), turn, crop).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def turned_and_cropped(image: Image.Image, turn: int, crop: Crop | None) -> Image.Image:
    """A decoded image, upright, after some quarter turns clockwise, and the part of that; at least 16 pixels a side."""
    if turn % 4:
        image = image.transpose(_TURNS[turn % 4])
    return image if crop is None else image.crop(_box(crop, image.size))


def _box(crop: Crop, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The crop in whole pixels, inside the image."""
    (left, right), (top, bottom) = (
        _span(start, length, pixels) for start, length, pixels in zip(crop[:2], crop[2:], size, strict=True)
    )
    return left, top, right, bottom


def _span(start: float, length: float, pixels: int) -> tuple[int, int]:
    least = min(16, pixels)
    first = min(max(round(start * pixels), 0), pixels - least)
    last = min(max(round((start + length) * pixels), first + least), pixels)
    return first, last


def read_crop(written: str) -> Crop | None:
    """Read a crop from an address; None if it is not valid."""
    try:
        left, top, width, height = (float(part) for part in written.split(","))
    except ValueError:
        return None
    inside = left >= 0 and top >= 0 and width > 0 and height > 0 and left + width <= 1.001 and top + height <= 1.001
    return (left, top, width, height) if inside and math.isfinite(left + top) else None
