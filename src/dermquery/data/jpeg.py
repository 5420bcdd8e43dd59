"""A JPEG without what stands beside its picture, and without encoding it a second time."""

from __future__ import annotations

import struct

__all__ = ["bare_jpeg"]

_SCAN, _COMMENT, _ADOBE, _JFIF = 0xDA, 0xFE, 0xEE, 0xE0
_APPLICATION = range(0xE0, 0xF0)


def bare_jpeg(data: bytes, comment: bytes) -> bytes | None:
    """The same picture with a comment in place of EXIF, XMP, profiles and thumbnails.

    Args:
        data: a JPEG file.
        comment: up to 65,533 bytes.

    Returns:
        None if the file cannot be taken apart; whoever asked has to decode it. Of application data only JFIF's and
        Adobe's stay, which say how colours are stored.
    """
    if not data.startswith(b"\xff\xd8"):
        return None
    kept, at = [b"\xff\xd8", b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, (length,) = data[at + 1], struct.unpack_from(">H", data, at + 2)
        if marker == _SCAN:
            return b"".join([*kept, data[at:]])
        if marker != _COMMENT and (marker not in _APPLICATION or marker in (_ADOBE, _JFIF)):
            kept.append(data[at : at + 2 + length])
        at += 2 + length
    return None
