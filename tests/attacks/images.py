"""Small files that cost a decoder much, and large ones of every layout."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

__all__ = ["LARGE", "SIDE", "float_tiff", "many_scans", "photograph", "tiny_jpeg2000"]

SIDE = 8000
"""Width and height of 64 megapixels, as many as the service decodes."""


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def many_scans(scans: int, side: int = SIDE) -> bytes:
    """A progressive grey JPEG whose scans each say in a hundred bytes that nothing changes in any of its blocks."""
    blocks = ((side + 7) // 8) ** 2
    bits = ""
    while blocks > 0:  # one code of one bit, "the next 16,384 to 32,767 blocks are done"
        run = min(blocks, 32767)
        bits += "0" + format(max(run, 16384) - 16384, "014b")
        blocks -= run
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    tables = _segment(0xC4, bytes([0x10, 1] + [0] * 15 + [0xE0])) + _segment(0xC4, bytes([0x00, 1] + [0] * 15 + [0]))
    start = _segment(0xC2, struct.pack(">BHHB3B", 8, side, side, 1, 1, 0x11, 0))
    scan = _segment(0xDA, bytes([1, 1, 0x00, 1, 63, 0x00])) + coded
    return b"\xff\xd8" + _segment(0xDB, bytes([0]) + b"\x10" * 64) + start + tables + scan * scans + b"\xff\xd9"


@functools.cache
def float_tiff(side: int = SIDE, rows: int = 8) -> bytes:
    """A compressed TIFF of one value in 32 bits."""
    stream = io.BytesIO()
    tifffile.imwrite(
        stream, np.full((side, side), 0.5, np.float32), compression="zlib", rowsperstrip=rows, metadata=None
    )
    return stream.getvalue()


def tiny_jpeg2000() -> bytes:
    """A JPEG 2000 of 260 bytes and 64 megapixels of one colour."""
    return Path(__file__).with_name("tiny.jp2").read_bytes()


def _saved(mode: str, kind: str, **options: object) -> Callable[[int], bytes]:
    def made(side: int) -> bytes:
        image = Image.linear_gradient("L").resize((side, side))
        if mode == "I;16":
            image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
        elif mode == "P":
            image = image.point(lambda value: value >> 4)
            image.putpalette([value for grey in range(0, 256, 17) for value in (grey, grey, grey)])
        else:
            image = image.convert(mode)
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        return stream.getvalue()

    return made


def bitmap(side: int) -> bytes:
    """A PNG of one colour in 16 bits a channel, written row by row."""
    row = b"\0" + b"\x80\0" * 3 * side
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 16, 2, 0, 0, 0)), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


LARGE: Mapping[str, Callable[[int], bytes]] = {
    "JPEG": _saved("RGB", "JPEG"),
    "grey JPEG": _saved("L", "JPEG"),
    "CMYK JPEG": _saved("CMYK", "JPEG"),
    "PNG": _saved("RGB", "PNG", compress_level=1),
    "palette PNG": _saved("P", "PNG", compress_level=1),
    "transparent PNG": _saved("RGBA", "PNG", compress_level=1),
    "16-bit grey PNG": _saved("I;16", "PNG", compress_level=1),
    "16-bit RGB PNG": bitmap,
    "32-bit float TIFF": float_tiff,
    "16-bit TIFF": _saved("I;16", "TIFF", compression="tiff_deflate"),
    "CMYK TIFF": _saved("CMYK", "TIFF", compression="tiff_deflate"),
    "palette TIFF": _saved("P", "TIFF", compression="tiff_deflate"),
    "palette GIF": _saved("P", "GIF"),
    "BMP": _saved("RGB", "BMP"),
}
"""Files of every layout, by a name, for a width and height."""


def photograph(width: int, height: int) -> bytes:
    """A JPEG as a camera might write it."""
    values = np.random.default_rng(0).integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=92)
    return stream.getvalue()
