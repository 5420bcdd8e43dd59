"""What the markers of a JPEG say, without decoding it."""

from __future__ import annotations

import re
import struct

__all__ = ["bare_jpeg", "count_scans"]

_SCAN, _END, _COMMENT, _ADOBE, _JFIF = 0xDA, 0xD9, 0xFE, 0xEE, 0xE0
_APPLICATION = range(0xE0, 0xF0)
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""What ends the coded pixels of a scan; within them stand only a stuffed zero and restart markers behind 0xFF."""


def count_scans(data: bytes, most: int) -> int:
    """Scans of a JPEG's first image, each of which a decoder goes through the whole picture for.

    Args:
        data: a JPEG file.
        most: where to stop; a file may have thousands, of a few bytes each.

    Returns:
        At most ``most`` + 1.
    """
    scans, at = 0, 0
    while scans <= most and (found := _MARKER.search(data, at)) is not None:
        at, marker = found.end(), found[0][1]
        if marker == _END:
            break
        scans += marker == _SCAN
        if marker not in (0xD8, 0x01) and at + 2 <= len(data):
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return scans


def bare_jpeg(data: bytes, comment: bytes) -> bytes | None:
    """The same picture with a comment in place of EXIF, XMP, profiles, thumbnails, and whatever follows its end.

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
    while at + 2 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _END:
            return b"".join([*kept, b"\xff\xd9"])
        if at + 4 > len(data):
            return None
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _SCAN:  # its coded pixels follow, up to the next marker
            found = _MARKER.search(data, end)
            end = len(data) if found is None else found.start()
        if marker != _COMMENT and (marker not in _APPLICATION or _says_colours(data[at:end])):
            kept.append(data[at:end])
        at = end
    return None


def _says_colours(segment: bytes) -> bool:
    """Whether an application segment is JFIF's or Adobe's own, of the length that those have."""
    jfif = segment[1] == _JFIF and segment[4:9] == b"JFIF\0" and len(segment) == 18
    return jfif or (segment[1] == _ADOBE and segment[4:9] == b"Adobe" and len(segment) == 16)
