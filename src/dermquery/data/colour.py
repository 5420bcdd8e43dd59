"""Decoded pixels of any kind as 8-bit sRGB: depth, transparency and colour profiles."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import cast

import numpy as np
from PIL import Image, ImageCms

__all__ = ["UnusablePixelsError", "to_rgb"]

_TRANSPARENT = {"LA", "La", "PA", "RGBA", "RGBa"}
_SAME = 2
"""A profile that moves no colour by more, of 255, is sRGB itself: cameras write it in many versions."""


class UnusablePixelsError(ValueError):
    """The pixels have no colours that are known; the message says why, and the remedy."""


def to_rgb(image: Image.Image, *, white: float | None = None, inverted: bool = False) -> Image.Image:
    """A new image of mode ``RGB`` in sRGB, also of one that is that already.

    Args:
        image: decoded pixels.
        white: the value of white in an image of more than 8 bits, where its file says so.
        inverted: whether 0 is white in an image of more than 8 bits; Pillow turns the others itself.

    Raises:
        UnusablePixelsError: grey values without a known scale, or transparency that hides everything.
    """
    profile = image.info.get("icc_profile")
    if image.mode in {"CMYK", "LAB"}:
        return _through_profile(image, profile)
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        deep = image.mode.startswith("I;16")
        grey = _grey(np.asarray(image), 65535.0 if deep and white is None else white, inverted=inverted)
        return _profiled(grey, profile).convert("RGB")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        return _on_white(image, profile)
    return _profiled(image, profile).convert("RGB")


def _grey(values: np.ndarray, white: float | None, *, inverted: bool) -> Image.Image:
    """Grey values of more than 8 bits, mode ``L``; Pillow's own conversion would clip them at 255."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite([low, high]).all() and low >= 0 and high <= (white or 65535)):
        raise UnusablePixelsError(
            f"grey values from {low:g} to {high:g} have no known scale; save it with 8 or 16 bits"
        )
    if white is None:
        floats = values.dtype.kind == "f"
        white = 1.0 if floats and high <= 1 else 255.0 if high <= 255 else 65535.0
    scaled = values.astype(np.float64) / white
    return Image.fromarray(np.rint((1 - scaled if inverted else scaled) * 255).astype(np.uint8))


def _on_white(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    layer = image.convert("RGBA")
    alpha, colours = layer.getchannel("A"), layer.convert("RGB")
    least, most = cast("tuple[int, int]", alpha.getextrema())
    if most == 0:
        if all(low == high for low, high in cast("tuple[tuple[int, int], ...]", colours.getextrema())):
            raise UnusablePixelsError("every pixel is transparent; save it without transparency")
        return _profiled(colours, profile)  # a channel that was never filled in, as in many bitmaps of 32 bits
    if least == 255:
        return _profiled(colours, profile)
    layer = _profiled(colours, profile).convert("RGBA")
    layer.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _profiled(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An RGB or grey image in sRGB; as it is without a usable profile of its own, or with one that is sRGB."""
    if not profile:
        return image
    if image.mode not in {"RGB", "L"}:
        image = image.convert("RGB")
    return _transformed(image, profile) if _changes_colours(profile, image.mode) else image


@lru_cache(maxsize=32)
def _changes_colours(profile: bytes, mode: str) -> bool:
    """Whether a profile can be used and is another one than sRGB, by what it makes of a grid of colours."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(9, 81, 3)
    probe = Image.fromarray(grid).convert(mode)
    try:
        moved = np.asarray(_transformed(probe, profile), np.int16) - np.asarray(probe.convert("RGB"))
    except (ImageCms.PyCMSError, OSError):  # a damaged profile, or one of another colour space than the pixels
        return False
    return int(np.abs(moved).max()) > _SAME


def _transformed(image: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    made = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return cast("Image.Image", made)


def _through_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """CMYK or Lab through the embedded profile; without a usable one, Lab by its definition and CMYK plainly."""
    if profile:
        try:
            return _transformed(image, profile)
        except (ImageCms.PyCMSError, OSError):  # a damaged profile, or one of another colour space than the pixels
            pass
    if image.mode == "LAB":
        source, target = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return cast("Image.Image", ImageCms.profileToProfile(image, source, target, outputMode="RGB"))
    return image.convert("RGB")
