"""A PNG without the text and the profile beside its pixels, however long they are.

Pillow refuses to open a PNG whose text or profile unpacks to more than a megabyte, although its pixels are intact. The
text is of no use here but for the orientation that XMP may give, and a profile may well be that long.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["SIGNATURE", "SlimPng", "slim_png"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_MOST = 16 << 20
"""Bytes of a profile or of XMP that are unpacked; no profile of real colours is longer, and a bomb ends here."""
_XMP = b"XML:com.adobe.xmp"
_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


class SlimPng(NamedTuple):
    """What is left of a PNG.

    Attributes:
        data: without text and profile.
        profile: the ICC profile, None without a usable one.
        orientation: as XMP gives it, None if it does not.
    """

    data: bytes
    profile: bytes | None
    orientation: int | None


def slim_png(data: bytes) -> SlimPng:
    """Take text and profile out of a PNG; damage is left for the decoder to find."""
    kept, profile, orientation = [SIGNATURE], None, None
    for kind, chunk in _chunks(data):
        body = chunk[8:-4]
        if kind == b"iCCP":
            profile = _unpacked(body.partition(b"\0")[2][1:])
        elif kind not in _TEXTS:
            kept.append(chunk)
        elif body.startswith(_XMP) and (found := _ORIENTATION.search(_text(kind, body[len(_XMP) + 1 :]))):
            orientation = int(found[1])
    return SlimPng(b"".join(kept), profile, orientation)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each chunk; what follows the last whole one is given as one of no kind."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        yield data[at + 4 : at + 8], data[at:end]
        at = end
    if at < len(data):
        yield b"", data[at:]


def _text(kind: bytes, body: bytes) -> bytes:
    """The text behind a keyword, as far as it is unpacked."""
    if kind == b"tEXt":
        return body
    if kind == b"zTXt":
        return _unpacked(body[1:]) or b""
    packed, rest = body[:1] == b"\1", body[2:].split(b"\0", 2)[-1]
    return (_unpacked(rest) or b"") if packed else rest


def _unpacked(data: bytes) -> bytes | None:
    try:
        unpacker = zlib.decompressobj()
        unpacked = unpacker.decompress(data, _MOST)
    except zlib.error:
        return None
    return unpacked if unpacker.eof else None
