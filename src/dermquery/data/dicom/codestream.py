"""What an encoded frame says of itself, so that nothing is decoded that the attributes around it did not announce."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Codestream", "codestream"]

_J2K, _JP2 = b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a JPEG frame; 0xF7 is that of JPEG-LS."""
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True)
class Codestream:
    """The frame header of a JPEG, JPEG-LS or JPEG 2000 picture.

    Attributes:
        columns, rows: of its pixels.
        samples: of each pixel.
        bits: of each sample.
        transformed: whether JPEG 2000's own colour transform was applied, which every decoder takes back.
    """

    columns: int
    rows: int
    samples: int
    bits: int
    transformed: bool = False


def codestream(data: bytes) -> Codestream | None:
    """Read the header of an encoded frame; None if it has none that is known."""
    if data.startswith(_JP2):
        return _jpeg2000(data[max(0, data.find(_J2K)) :])
    return _jpeg2000(data) if data.startswith(_J2K) else _jpeg(data)


def _jpeg2000(data: bytes) -> Codestream | None:
    if not data.startswith(_J2K) or len(data) < 45:
        return None
    right, bottom, left, top = (int.from_bytes(data[at : at + 4]) for at in (8, 12, 16, 20))
    samples = int.from_bytes(data[40:42])
    at = 4 + int.from_bytes(data[4:6])
    transformed = False
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0x90:
        if data[at + 1] == 0x52 and at + 9 <= len(data):
            transformed = data[at + 8] == 1
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return Codestream(right - left, bottom - top, samples, (data[42] & 0x7F) + 1, transformed)


def _jpeg(data: bytes) -> Codestream | None:
    at = 2
    if not data.startswith(b"\xff\xd8"):
        return None
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES and at + 10 <= len(data):
            rows, columns = (int.from_bytes(data[at + i : at + i + 2]) for i in (5, 7))
            return Codestream(columns, rows, data[at + 9], data[at + 4])
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None
