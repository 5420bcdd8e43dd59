"""What decoding an image takes in time and memory, judged by its header.

Pillow keeps every pixel in up to 4 bytes. Some decoders keep as much again beside that: coefficients of a progressive
JPEG, planes of a HEIF or JPEG 2000 image, a TIFF's strip that is the whole picture. The shares here are measured
(``tests/data/test_costs.py``); the process that decodes for others has a hard limit besides.
"""

from __future__ import annotations

import math
from typing import Any

from PIL import Image, JpegImagePlugin, TiffImagePlugin

from dermquery.data.dicom.plugin import DicomImageFile
from dermquery.data.jpeg import count_scans

__all__ = ["MOST_SCANS", "UnboundedError", "bytes_to_decode", "check_costs"]

MOST_SCANS = 100
"""Cameras write one scan and programs about ten."""
_PIXEL = 4
_BESIDE = {"JPEG2000": 16.0, "WEBP": 12.0, "HEIF": 7.0}
"""Bytes a pixel that a decoder keeps beside Pillow's."""
_PACKED_ROWS, _TURNED, _TILE_COLUMNS, _TILE_ROWS = 278, 274, 322, 323


class UnboundedError(ValueError):
    """Decoding would take too long or too much memory; the message says why, and the remedy."""


def check_costs(image: Image.Image, max_bytes: int | None) -> None:
    """Refuse an opened image whose pixels would take too long or too much memory to decode.

    Args:
        image: with its header read; a JPEG of several scans is read through.
        max_bytes: what decoding may take; None sets no bound.

    Raises:
        UnboundedError: it would take more.
    """
    if isinstance(image, JpegImagePlugin.JpegImageFile) and _scans(image) > MOST_SCANS:
        raise UnboundedError(
            f"a JPEG of more than {MOST_SCANS} scans, which no camera writes and which takes minutes to decode; "
            "save it anew"
        )
    if max_bytes is not None and (needed := bytes_to_decode(image)) > max_bytes:
        raise UnboundedError(
            f"decoding its {image.width} × {image.height} pixels of this format takes about {needed >> 20} MiB, and "
            f"{max_bytes >> 20} MiB are allowed; save it as PNG or plain JPEG, or make it smaller"
        )


def bytes_to_decode(image: Image.Image) -> int:
    """The greatest memory of decoding an opened image, in bytes, without what an empty process has."""
    pixels = image.width * image.height
    beside = _BESIDE.get(image.format or "", 0.0) * pixels
    if isinstance(image, JpegImagePlugin.JpegImageFile) and (image.info.get("progressive") or _scans(image) > 1):
        beside = _coefficients(image) * pixels
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        beside = _tiff_beside(image)
    if isinstance(image, DicomImageFile):
        beside = image.bytes_beside()
    return math.ceil(_PIXEL * pixels + beside)


def _scans(image: Image.Image) -> int:
    file: Any = image.fp  # type: ignore[attr-defined]
    if file is None or file.closed:  # of an image that somebody decoded before
        return 1
    at = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(at)
    return count_scans(data, MOST_SCANS)


def _coefficients(image: JpegImagePlugin.JpegImageFile) -> float:
    """Bytes a pixel of the coefficients, of 16 bits each, that stand in memory until the last scan."""
    factors = [(h, v) for _, h, v, _ in image.layer] or [(1, 1)] * 4
    full = max(h for h, _ in factors) * max(v for _, v in factors)
    return 2 * sum(h * v for h, v in factors) / max(1, full)


def _tiff_beside(image: TiffImagePlugin.TiffImageFile) -> float:
    """Bytes of the strip that a compressed TIFF unpacks at once, and of the copy that turns one."""
    tags = image.tag_v2
    turned = _PIXEL * image.width * image.height if tags.get(_TURNED, 1) != 1 else 0
    if tags.get(259, 1) == 1:
        return turned
    if _TILE_ROWS in tags:  # one tile is unpacked at a time
        rows, width = int(tags[_TILE_ROWS]), int(tags.get(_TILE_COLUMNS, image.width))
    else:
        rows, width = min(int(tags.get(_PACKED_ROWS, image.height)), image.height), image.width
    return max(turned, rows * width * sum(tags.get(258, (1,))) / 8)
