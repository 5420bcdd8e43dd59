"""Decode image files of every common kind into correct 8-bit RGB, or raise an error that names the file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from PIL import (  # the plug-ins register the formats of FORMATS; Pillow would import all of its forty
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageCms,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

__all__ = ["FORMATS", "ImageError", "ImageSource", "UprightImage", "load_image"]

ImageSource = Path | str | bytes | Image.Image
"""A path, an encoded image's bytes, or a decoded image."""

_MAX_PIXELS = 64_000_000
"""Width × height that is decoded where nothing else is said."""
FORMATS: tuple[str, ...] = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000")
"""The formats that are decoded, whatever the file is called. Pillow's many others are not worth their risk;
an MPO, as cameras write it, is opened by the JPEG plug-in."""

_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TRANSPARENT = {"LA", "La", "PA", "RGBA", "RGBa"}
_FOREIGN = (
    (128, b"DICM", "a DICOM file; export its image as PNG or JPEG"),
    (4, b"ftypheic", "a HEIC photo; convert it to JPEG"),
    (4, b"ftypmif1", "a HEIC photo; convert it to JPEG"),
    (4, b"ftypavif", "an AVIF image; convert it to PNG or JPEG"),
    (0, b"%PDF", "a PDF document; export its image as PNG or JPEG"),
    (0, b"<svg", "an SVG drawing, not a photograph"),
    (0, b"<!DO", "a web page, not an image: the download may have failed"),
    (0, b"<htm", "a web page, not an image: the download may have failed"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the image itself; run: git lfs pull"),
)


class ImageError(ValueError):
    """An image cannot be used; the message names it and the remedy."""


class UprightImage(Image.Image):
    """An image that was decoded once for everything that looks at it: treat it as read-only.

    :func:`load_image` gives it back as it is, so that no step decodes or copies it again, and
    :func:`~dermquery.data.borders.visible_box` searches it once.

    Attributes:
        visible_box: what :func:`~dermquery.data.borders.visible_box` found; None before that.
    """

    visible_box: tuple[int, int, int, int] | None = None

    @classmethod
    def of(cls, source: ImageSource, *, max_pixels: int = _MAX_PIXELS) -> UprightImage:
        """Decode an image; args and errors are those of :func:`load_image`."""
        image = load_image(source, max_pixels=max_pixels)
        if isinstance(image, cls):
            return image
        upright = cls()
        upright.__dict__.update(image.__dict__)  # takes the pixels over without a copy
        return upright


def load_image(
    source: ImageSource, *, max_pixels: int = _MAX_PIXELS, min_side: int = 16, least_side: int | None = None
) -> Image.Image:
    """Decode an image to 8-bit RGB, upright.

    The file's content decides its format, not its name. EXIF orientation is applied. Transparency is laid on white.
    CMYK and Lab are converted through the embedded ICC profile if there is one; an RGB image's own profile is not
    applied, as in the field's data sets. 16-bit grey is scaled from its full range. Grey of 32 bits carries no scale,
    so the largest value decides: up to 1 (floats only), 255 or 65535. Of several frames or pages, the first is taken.

    Args:
        source: a path, encoded bytes, or a decoded image (which is left as it is).
        max_pixels: greatest width × height to decode, checked in the header before anything is unpacked. Pillow's
            own limit of about 179 million stays in force above it.
        min_side: smallest width and height to accept.
        least_side: decode a large JPEG at a half, a quarter or an eighth, as long as width and height keep so many
            pixels: a photograph of 12 megapixels in a quarter of the time. None decodes all of them.

    Returns:
        A new image of mode ``RGB`` without metadata, or ``source`` itself if it is an :class:`UprightImage`. Safe to
        call from several threads.

    Raises:
        ImageError: naming the file, what is wrong and the remedy.
    """
    if isinstance(source, UprightImage):
        return source
    name = _name(source)
    with _as_image_error(name), _opened(source, name) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise ImageError(
                f"{name}: {width} × {height} pixels are more than the limit of {max_pixels:,}; "
                "make the image smaller, or raise max_pixels if you trust its origin"
            )
        if min(width, height) < min_side:
            raise ImageError(
                f"{name}: {width} × {height} pixels are too few to show a lesion (at least {min_side} on each side); "
                "use the original image"
            )
        if least_side is not None and image.format == "JPEG":
            image.draft(None, (least_side, least_side))  # None keeps the mode
        image.load()
        rgb = _to_rgb(image, name)
        if (turn := _TURNS.get(_orientation(image))) is not None:
            rgb = rgb.transpose(turn)
    rgb.info = {}  # an orientation left here would turn the image again the next time
    return rgb


def _name(source: ImageSource) -> str:
    if isinstance(source, Image.Image):
        return getattr(source, "filename", "") or "the image in memory"
    return f"the image of {len(source)} bytes" if isinstance(source, bytes) else str(source)


@contextmanager
def _as_image_error(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises for a broken file into ImageError; its plugins raise nearly every built-in type."""
    try:
        yield
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{name}: too many pixels to be decoded safely ({error}); make the image smaller") from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ImageError(f"{name}: damaged or cut off ({reason}); get the file again") from error


@contextmanager
def _opened(source: ImageSource, name: str) -> Iterator[Image.Image]:
    """The image with its header read and its pixels not yet decoded."""
    if isinstance(source, Image.Image):
        yield source
        return
    with _stream(source, name) as stream:
        head = stream.read(256)
        stream.seek(0)
        if not head:
            raise ImageError(f"{name}: the file is empty; get it again")
        try:
            image = Image.open(stream, formats=FORMATS)
        except UnidentifiedImageError as error:
            raise ImageError(f"{name}: {_what_it_is(head)}") from error
        with image:
            yield image


def _stream(source: Path | str | bytes, name: str) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    path = Path(source)
    if path.is_dir():
        raise ImageError(f"{name}: a folder, not an image; name a file in it")
    if not path.is_file():
        raise ImageError(f"{name}: no such image file; check the path")
    try:
        return path.open("rb")
    except OSError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror}); check its permissions") from error


def _what_it_is(head: bytes) -> str:
    for offset, magic, what in _FOREIGN:
        if head[offset:].lower().startswith(magic.lower()):
            return f"this is {what}"
    return f"not an image, damaged at its start, or of another format than {', '.join(FORMATS)}; convert it to one"


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 if there is none. Pillow turns a TIFF by itself while loading and drops the tag."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # broken metadata is no reason to refuse a readable image
        return 1


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    """A new image, also of one that is RGB already."""
    mode = image.mode
    if mode.startswith("I;16"):
        return _grey(np.asarray(image), name, "16-bit")
    if mode in {"I", "F"}:
        return _grey(np.asarray(image), name, "32-bit")
    if mode in {"CMYK", "LAB"}:
        return _through_profile(image)
    if mode in _TRANSPARENT or "transparency" in image.info:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(paper, layer).convert("RGB")
    return image.convert("RGB")


def _grey(values: np.ndarray, name: str, depth: str) -> Image.Image:
    """Grey values of more than 8 bits as RGB; Pillow's own conversion would clip them at 255."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite([low, high]).all() and low >= 0 and high <= 65535):
        raise ImageError(f"{name}: grey values from {low:g} to {high:g} have no known scale; save it with 8 or 16 bits")
    scale = 1.0
    if depth == "16-bit" or high > 255:
        scale = 255 / 65535
    elif high <= 1 and values.dtype.kind == "f":
        scale = 255.0
    grey = Image.fromarray(np.rint(values.astype(np.float64) * scale).astype(np.uint8))
    return grey.convert("RGB")


def _through_profile(image: Image.Image) -> Image.Image:
    """CMYK or Lab through the embedded profile; without a usable one, Lab by its definition and CMYK plainly."""
    target = ImageCms.createProfile("sRGB")
    if embedded := image.info.get("icc_profile"):
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
            return cast("Image.Image", ImageCms.profileToProfile(image, profile, target, outputMode="RGB"))
        except (ImageCms.PyCMSError, OSError):  # a damaged profile, or one of another colour space than the pixels
            pass
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        return cast("Image.Image", ImageCms.profileToProfile(image, lab, target, outputMode="RGB"))
    return image.convert("RGB")
