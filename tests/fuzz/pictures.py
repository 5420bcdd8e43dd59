"""The target that decodes images, in this process, so that what crashes a decoder is seen."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from dermquery.data.decoding import OVERHEAD, PIXEL
from dermquery.data.image import ImageError, upright_strips
from tests.attacks.images import LARGE, many_scans, tiny_jpeg2000
from tests.fuzz.target import FindingError, Reader, Target

__all__ = ["IMAGE", "decode"]

_SIDE, _PIXELS = 48, 1_000_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _image(_folder: Path) -> Reader:
    def read(data: bytes) -> None:
        decode(data)
        if data.startswith(_SIGNATURE):
            decode(_with_checksums(data))

    return read


def decode(data: bytes) -> None:
    """Read a picture under bounds; FindingError if it has other pixels than it says."""
    try:
        with upright_strips(data, max_pixels=_PIXELS, max_bytes=PIXEL * _PIXELS + OVERHEAD) as strips:
            made = sum(strip.width * strip.height for strip in strips)
            if made != strips.size[0] * strips.size[1] or made > _PIXELS:
                raise FindingError(f"{made} pixels of {strips.size}")
    except ImageError:
        return


def _with_checksums(data: bytes) -> bytes:
    """A PNG whose checksums are right, so that what is behind them is read."""
    made, at = bytearray(_SIGNATURE), len(_SIGNATURE)
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        made += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(made)


def _seeds() -> Sequence[bytes]:
    made = [make(_SIDE) for make in LARGE.values()]
    ramp = Image.linear_gradient("L").resize((_SIDE, _SIDE))
    colour = Image.merge("RGBA", (ramp, ramp.rotate(90), ramp, ramp))
    exif = Image.Exif()
    exif[274] = 6
    more: tuple[tuple[Image.Image, str, dict[str, object]], ...] = (
        (colour, "WEBP", {}), (colour, "WEBP", {"lossless": True}), (colour, "JPEG2000", {}),
        (colour.convert("RGB"), "JPEG", {"progressive": True, "exif": exif}),
        (ramp, "TIFF", {"compression": "tiff_lzw"}),
        (ramp.convert("1"), "TIFF", {"compression": "group4"}),
        (colour, "PNG", {"exif": exif, "icc_profile": b"x" * 200}),
        (colour, "GIF", {"save_all": True, "append_images": [colour.rotate(90)]}),
        (colour, "PNG", {"save_all": True, "append_images": [colour.rotate(90)]}),
        (colour.convert("RGB"), "TIFF", {"save_all": True, "append_images": [ramp]}),
    )  # fmt: skip
    for image, kind, options in more:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        made.append(stream.getvalue())
    phones = sorted((Path(__file__).parents[1] / "data" / "heic").glob("*.heic"))
    return [*made, many_scans(3, _SIDE), tiny_jpeg2000(), *(phone.read_bytes() for phone in phones[:2])]


_CHUNKS = (
    b"IHDR",
    b"PLTE",
    b"IDAT",
    b"iCCP",
    b"zTXt",
    b"iTXt",
    b"eXIf",
    b"acTL",
    b"fcTL",
    b"fdAT",
    b"tRNS",
    b"gAMA",
    b"IEND",
)
_BOXES = (
    b"ftypheic",
    b"meta",
    b"iloc",
    b"ipco",
    b"ispe",
    b"grid",
    b"jp2h",
    b"jp2c",
    b"ihdr",
    b"VP8 ",
    b"VP8L",
    b"VP8X",
    b"ANIM",
)
_MARKERS = tuple(
    bytes([0xFF, marker]) for marker in (0xC0, 0xC2, 0xC4, 0xDA, 0xDB, 0xDD, 0xE1, 0xE2, 0xEE, 0xFE, 0xD9, 0x4F, 0x51)
)
IMAGE = Target(_image, _seeds, [*_CHUNKS, *_BOXES, *_MARKERS, b"ICC_PROFILE\0\1\1", b"Exif\0\0II*\0"])
