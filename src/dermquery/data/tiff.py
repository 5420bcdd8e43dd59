"""What a TIFF says of its pixels that Pillow does not act upon, and the kinds that it decodes wrongly.

Pillow reads a TIFF of more than 8 bits without regard to which end is white, takes signed numbers for unsigned ones,
and mixes up planes of 16 bits. What it does right was found by comparing it with another decoder, kind by kind; the
tests repeat that.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["TiffPixels", "tiff_pixels"]

_WIDTH_OF_SAMPLES, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _PLANES, _FORMAT = 258, 259, 262, 266, 284, 339
_KIND_OF_PAGE, _PALETTE = 254, 320
_WHITE_IS_ZERO, _RGB, _SIGNED, _REDUCED = 0, 2, 2, 1


class TiffPixels(NamedTuple):
    """How deep values are to be read.

    Attributes:
        white: the value of white; None for 16 bits and where nothing says it.
        inverted: 0 is white, and Pillow has not turned it.
        problem: why the image cannot be decoded, with the remedy; empty if it can.
    """

    white: float | None = None
    inverted: bool = False
    problem: str = ""


def tiff_pixels(tags: Any, big_endian: bool) -> TiffPixels:
    """Read the tags of an opened TIFF.

    Args:
        tags: by their numbers, as ``TiffImageFile.tag_v2`` has them.
        big_endian: whether its numbers are stored with the highest byte first.
    """
    widths = tags.get(_WIDTH_OF_SAMPLES, (1,))
    bits, compressed = max(widths), tags.get(_COMPRESSION, 1) != 1
    photometric = tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO)
    planes = len(widths) > 1 and tags.get(_PLANES, 1) != 1
    problem = ""
    if _SIGNED in tags.get(_FORMAT, (1,)) and bits <= 16:
        problem = "signed values have no known scale"
    elif planes and (bits > 8 or photometric != _RGB):
        problem = f"its colours of {bits} bits are stored as separate planes"
    elif bits > 16 and compressed and big_endian:
        problem = f"values of {bits} bits are compressed with their highest byte first"
    elif bits > 8 and tags.get(_FILL_ORDER, 1) != 1:
        problem = "its bits are stored in reversed order"
    elif 0 < max(tags.get(_PALETTE, (0,))) < 256:
        problem = "its palette has 8 bits in place of 16"
    if tags.get(_KIND_OF_PAGE, 0) & _REDUCED and getattr(tags, "next", 0):
        problem = "a TIFF whose first page is a small copy of another one; save the page in full size alone, or as PNG"
    elif problem:
        problem = (
            f"a TIFF that cannot be decoded reliably, as {problem}; save it with 8 or 16 bits, unsigned, as grey or "
            "RGB with interleaved colours"
        )
    return TiffPixels(
        white=4095.0 if bits == 12 else None,
        inverted=photometric == _WHITE_IS_ZERO and bits > 8,
        problem=problem,
    )
