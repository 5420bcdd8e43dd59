"""Decoded pixels of any kind as 8-bit sRGB: depth, transparency and colour profiles.

An image is converted in parts, so that it never stands in memory twice; what only the whole can tell, such as the
greatest grey value, is found first.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import cast

import numpy as np
from PIL import Image, ImageCms

from dermquery.data.matrix_profile import implied_profile

__all__ = ["PART", "Converter", "UnusablePixelsError", "rgb_converter", "spans"]

Converter = Callable[[Image.Image], Image.Image]
"""Gives the RGB of a part of the image that it was made for."""

_TRANSPARENT = {"LA", "La", "PA", "RGBA", "RGBa"}
_SAME = 2
"""A profile that moves no colour by more, of 255, is sRGB itself: cameras write it in many versions."""
PART = 1 << 20
"""Pixels of a part, or one row."""


class UnusablePixelsError(ValueError):
    """The pixels have no colours that are known; the message says why, and the remedy."""


def spans(length: int, across: int) -> Iterator[tuple[int, int]]:
    """Where the parts of an image begin and end: ``length`` rows or columns, each of ``across`` pixels.

    >>> list(spans(5, 1 << 19))
    [(0, 2), (2, 4), (4, 5)]
    """
    step = max(1, PART // across)
    for start in range(0, length, step):
        yield start, min(start + step, length)


def rgb_converter(image: Image.Image, *, white: float | None = None, inverted: bool = False) -> Converter | None:
    """How parts of an image become mode ``RGB`` in sRGB; None for one that is that already.

    Args:
        image: decoded pixels.
        white: the value of white in an image of more than 8 bits, where its file says so.
        inverted: whether 0 is white in an image of more than 8 bits; Pillow turns the others itself.

    Raises:
        UnusablePixelsError: grey values without a known scale, or transparency that hides everything.
    """
    deep_or_grey = image.mode in {"L", "I", "F"} or image.mode.startswith("I;16")
    profile = image.info.get("icc_profile") or implied_profile(image.info, grey=deep_or_grey)
    if image.mode in {"CMYK", "LAB"}:
        return _through_profile(image.mode, profile)
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        deep = image.mode.startswith("I;16")
        return _grey(image, 65535.0 if deep and white is None else white, inverted, _profiled("L", profile))
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        return _on_white(image, profile)
    own = _profiled(image.mode, profile)
    if image.mode == "RGB":
        return own
    return lambda part: (own(part) if own else part).convert("RGB")


def _parts(image: Image.Image) -> Iterator[Image.Image]:
    for top, bottom in spans(image.height, image.width):
        yield image.crop((0, top, image.width, bottom))


def _grey(image: Image.Image, white: float | None, inverted: bool, profiled: Converter | None) -> Converter:
    """Grey values of more than 8 bits; Pillow's own conversion would clip them at 255."""
    bounds = np.array([[values.min(), values.max()] for values in map(np.asarray, _parts(image))])
    low, high = float(bounds[:, 0].min()), float(bounds[:, 1].max())
    if not (np.isfinite(bounds).all() and low >= 0 and high <= (white or 65535)):
        raise UnusablePixelsError(
            f"grey values from {low:g} to {high:g} have no known scale; save it with 8 or 16 bits"
        )
    if white is None:
        white = 1.0 if bounds.dtype.kind == "f" and high <= 1 else 255.0 if high <= 255 else 65535.0
    whitest = white

    def converted(part: Image.Image) -> Image.Image:
        scaled = np.asarray(part).astype(np.float64)
        scaled /= whitest
        if inverted:
            np.subtract(1, scaled, out=scaled)
        scaled *= 255
        grey = Image.fromarray(np.rint(scaled, out=scaled).astype(np.uint8))
        return (profiled(grey) if profiled else grey).convert("RGB")

    return converted


def _on_white(image: Image.Image, profile: bytes | None) -> Converter:
    def layer(part: Image.Image) -> Image.Image:
        return (part.convert("LA") if part.mode == "La" else part).convert("RGBA")

    ranges = [cast("tuple[tuple[int, int], ...]", layer(part).getextrema()) for part in _parts(image)]
    lows = [min(low for low, _ in channel) for channel in zip(*ranges, strict=True)]
    highs = [max(high for _, high in channel) for channel in zip(*ranges, strict=True)]
    if highs[3] == 0 and lows[:3] == highs[:3]:
        raise UnusablePixelsError("every pixel is transparent; save it without transparency")
    # A channel of zeros was never filled in, as in many bitmaps of 32 bits.
    plain, own = highs[3] == 0 or lows[3] == 255, _profiled("RGB", profile)

    def converted(part: Image.Image) -> Image.Image:
        shown = layer(part)
        colours = shown.convert("RGB")
        colours = own(colours) if own else colours
        if plain:
            return colours
        over = colours.convert("RGBA")
        over.putalpha(shown.getchannel("A"))
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")

    return converted


def _profiled(mode: str, profile: bytes | None) -> Converter | None:
    """From an embedded profile to sRGB; None without a usable one, or with one that is sRGB."""
    known = mode if mode in {"RGB", "L"} else "RGB"
    if not profile or not _changes_colours(profile, known):
        return None
    moved = _transformed(profile, known)
    return lambda part: moved(part if part.mode == known else part.convert(known))


@lru_cache(maxsize=32)
def _changes_colours(profile: bytes, mode: str) -> bool:
    """Whether a profile can be used and is another one than sRGB, by what it makes of a grid of colours."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(9, 81, 3)
    probe = Image.fromarray(grid).convert(mode)
    try:
        moved = np.asarray(_transformed(profile, mode)(probe), np.int16) - np.asarray(probe.convert("RGB"))
    except (ImageCms.PyCMSError, OSError):  # a damaged profile, or one of another colour space than the pixels
        return False
    return int(np.abs(moved).max()) > _SAME


def _transformed(profile: bytes | None, mode: str) -> Converter:
    """From a profile, or Lab by its definition, to sRGB."""
    source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB") if profile is None else io.BytesIO(profile))
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    return lambda part: cast("Image.Image", ImageCms.applyTransform(part, transform))


def _through_profile(mode: str, profile: bytes | None) -> Converter:
    """CMYK or Lab through the embedded profile; without a usable one, Lab by its definition and CMYK plainly."""
    if profile:
        try:
            return _transformed(profile, mode)
        except (ImageCms.PyCMSError, OSError):  # a damaged profile, or one of another colour space than the pixels
            pass
    if mode == "LAB":
        return _transformed(None, mode)
    return lambda part: part.convert("RGB")
