"""A decoded image, upright and in RGB, from top to bottom in strips."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from dermquery.data.colour import rgb_converter, spans

__all__ = ["ORIENTATION_TAG", "Strips"]

ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS, _BACKWARDS = frozenset({5, 6, 7, 8}), frozenset({3, 4, 7, 8})
"""Orientations whose rows are the image's columns, and those whose first row is its last, or its last column."""


class Strips:
    """The strips of an image.

    Attributes:
        size: width and height of the upright image.
        format: of the file, as Pillow names it; empty for an image that came decoded.
        frames: how many a DICOM object has, of which this is one; 1 for any other.

    Args:
        image: decoded, as stored. It must stay open while strips are taken.
        white: as for :func:`~dermquery.data.colour.rgb_converter`.
        inverted: likewise.
        frames: see above.

    Raises:
        UnusablePixelsError: as that.
    """

    def __init__(
        self, image: Image.Image, *, white: float | None = None, inverted: bool = False, frames: int = 1
    ) -> None:
        self._image, self._orientation = image, _orientation(image)
        self._rgb = rgb_converter(image, white=white, inverted=inverted)
        self.size = image.size[::-1] if self._orientation in _SIDEWAYS else image.size
        self.format, self.frames = image.format or "", frames

    def __iter__(self) -> Iterator[Image.Image]:
        """RGB images of the full width, which follow each other from top to bottom."""
        width, height = self.size
        turn = _TURNS.get(self._orientation)
        for top, bottom in spans(height, width):
            first, last = (height - bottom, height - top) if self._orientation in _BACKWARDS else (top, bottom)
            box = (first, 0, last, width) if self._orientation in _SIDEWAYS else (0, first, width, last)
            part = self._image if (top, bottom) == (0, height) else self._image.crop(box)
            part = part if self._rgb is None else self._rgb(part)
            yield part if turn is None else part.transpose(turn)

    def whole(self, *, own: bool) -> Image.Image:
        """All of them as one image without metadata.

        Args:
            own: whether nobody else uses the decoded image, so that its pixels may be taken over.
        """
        if own and self._rgb is None and self._orientation not in _TURNS:
            plain = self._image._new(self._image.im)  # noqa: SLF001 - without the file, and without a copy
            plain.info = {}  # an orientation left here would turn the image again the next time
            return plain
        image, top = Image.new("RGB", self.size), 0
        for strip in self:
            image.paste(strip, (0, top))
            top += strip.height
        return image


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 if there is none. Pillow turns a TIFF by itself while loading and drops the tag."""
    try:
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # broken metadata is no reason to refuse a readable image
        return 1
