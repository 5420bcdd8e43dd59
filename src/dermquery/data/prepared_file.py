"""What preparation makes of an image file: the same picture bare of metadata, with a comment that names the file.

So a base of prepared images can be asked whether it was made of a file: what preparation makes of it is made again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from typing import Any

from PIL import Image

from dermquery.data.jpeg import bare_jpeg

__all__ = ["hashes_of", "named_in_comment", "saved"]

_JPEG: dict[str, Any] = {"quality": 95, "subsampling": 0}
_HEAD = 1 << 18
_CHANGING = (b"Exif\0\0", b"ICC_PROFILE\0", b"Adobe")
"""What may make the bare picture another one: it is turned, or in other colours."""
_MOST_PIXELS = 24_000_000
"""Of a picture that is encoded only to be looked for."""


def named_in_comment(sha256: str) -> bytes:
    """The comment that names a file by its SHA-256, so that a corrected table or a replaced image is noticed."""
    return f"source sha256 {sha256}".encode()


def saved(image: Image.Image, origin: bytes) -> bytes:
    """A picture as a JPEG with a comment."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", comment=origin, **_JPEG)
    return buffer.getvalue()


def hashes_of(data: bytes, picture: Callable[[], Image.Image] | None = None) -> Iterator[str]:
    """SHA-256 of an image file, then those of what preparation makes of it, without squares or crops.

    Args:
        data: the file.
        picture: its pixels, upright and in sRGB; None leaves out what takes an encoding, and a release of Pillow that
            encodes as the one did that prepared.
    """
    own = hashlib.sha256(data).hexdigest()
    yield own
    origin = named_in_comment(own)
    bare, head = bare_jpeg(data, origin), data[:_HEAD]
    if bare is not None:
        yield hashlib.sha256(bare).hexdigest()
    if picture is not None and (bare is None or any(sign in head for sign in _CHANGING)):
        image = picture()
        if image.width * image.height <= _MOST_PIXELS:
            yield hashlib.sha256(saved(image, origin)).hexdigest()
