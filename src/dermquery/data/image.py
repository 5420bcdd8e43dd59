"""Decode image files of every common kind into correct 8-bit RGB, or raise an error that names the file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pi_heif import register_heif_opener
from PIL import (  # the plug-ins register the formats of FORMATS; Pillow would import all of its forty
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from dermquery.data.colour import UnusablePixelsError
from dermquery.data.costs import UnboundedError, check_costs
from dermquery.data.dicom.container import DicomError
from dermquery.data.dicom.plugin import DicomImageFile
from dermquery.data.foreign_files import foreign_file
from dermquery.data.png import SIGNATURE as PNG_SIGNATURE
from dermquery.data.png import slim_png
from dermquery.data.strips import ORIENTATION_TAG, Strips
from dermquery.data.tiff import TiffPixels, tiff_pixels

__all__ = [
    "FORMATS",
    "LEAST_SIDE",
    "ImageError",
    "ImageSource",
    "UprightImage",
    "file_bytes",
    "file_hash",
    "image_header",
    "load_image",
    "read_once",
    "upright_strips",
]

ImageSource = Path | str | bytes | BinaryIO | Image.Image | NDArray[Any]
"""A path, an encoded image's bytes or a stream of them, or a decoded image: one of Pillow, or an array (H, W, 3) or
(H, W) of uint8, whose channels are red, green and blue in this order."""

_MAX_PIXELS = 64_000_000
"""Width × height that is decoded where nothing else is said."""
LEAST_SIDE = 16
"""Width and height that an image must have to show anything."""
FORMATS: tuple[str, ...] = ("DICOM", "JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000", "HEIF")
"""The formats that are decoded, whatever the file is called. Pillow's many others are not worth their risk;
an MPO, as cameras write it, is opened by the JPEG plug-in."""

register_heif_opener(thumbnails=False)

_UNNAMED = "the image"


class ImageError(ValueError):
    """An image cannot be used; the message names it and the remedy."""

    def called(self, name: str | None) -> ImageError:
        """The same about an image of which only the caller knows the name."""
        message = str(self)
        return ImageError(f"{name}{message.removeprefix(_UNNAMED)}") if name and message.startswith(_UNNAMED) else self


class UprightImage(Image.Image):
    """An image that was decoded once for everything that looks at it: treat it as read-only.

    :func:`load_image` gives it back as it is, so that no step decodes or copies it again, and
    :func:`~dermquery.data.borders.visible_box` searches it once.

    Attributes:
        visible_box: what :func:`~dermquery.data.borders.visible_box` found; None before that.
        stored_as: format of the file, one of :data:`FORMATS` or ``MPO``; empty for one that came decoded.
        frames: how many its DICOM object has, of which this is one; 1 for any other image.
    """

    visible_box: tuple[int, int, int, int] | None = None
    stored_as: str = ""
    frames: int = 1

    @classmethod
    def of(cls, source: ImageSource, *, name: str = "", max_pixels: int = _MAX_PIXELS) -> UprightImage:
        """Decode an image; args and errors are those of :func:`load_image`."""
        if isinstance(source, cls):
            return source
        with upright_strips(source, name=name, max_pixels=max_pixels) as strips:
            image = cls.taking(strips.whole(own=not isinstance(source, Image.Image)))
            image.stored_as, image.frames = strips.format, strips.frames
        return image

    @classmethod
    def taking(cls, image: Image.Image) -> UprightImage:
        """The same for an image of mode ``RGB`` that nobody else uses; its pixels are not copied."""
        upright = cls()
        upright.__dict__.update(image.__dict__)  # takes the pixels over without a copy
        return upright


def load_image(
    source: ImageSource,
    *,
    name: str = "",
    max_pixels: int = _MAX_PIXELS,
    min_side: int = LEAST_SIDE,
    least_side: int | None = None,
    frame: int = 1,
) -> Image.Image:
    """Decode an image to 8-bit RGB, upright.

    The file's content decides its format, not its name. EXIF orientation is applied. Transparency is laid on white.
    Colours are converted to sRGB through the embedded ICC profile, if there is a usable one. Grey of 12 and 16 bits is
    scaled from its full range. Grey of 32 bits carries no scale, so the largest value decides: up to 1 (floats only),
    255 or 65535. Transparency that is nothing but zero was never filled in and is left out. Of several frames or
    pages, the first is taken, unless another frame of a DICOM object is asked for.

    Args:
        source: a path, encoded bytes or a stream of them, or a decoded image (which is left as it is).
        name: what messages call the image; by default its path, or "the image".
        max_pixels: greatest width × height to decode, checked in the header before anything is unpacked. Pillow's
            own limit of about 179 million stays in force above it.
        min_side: smallest width and height to accept.
        least_side: decode a large JPEG at a half, a quarter or an eighth, as long as width and height keep so many
            pixels: a photograph of 12 megapixels in a quarter of the time. None decodes all of them.
        frame: of a DICOM object, from 1.

    Returns:
        A new image of mode ``RGB`` without metadata, or ``source`` itself if it is an :class:`UprightImage`. Safe to
        call from several threads.

    Raises:
        ImageError: naming the file, what is wrong and the remedy.
    """
    if isinstance(source, UprightImage):
        return source
    with upright_strips(
        source, name=name, max_pixels=max_pixels, min_side=min_side, least_side=least_side, frame=frame
    ) as strips:
        return strips.whole(own=not isinstance(source, Image.Image))


def read_once(source: ImageSource | None) -> ImageSource | None:
    """The same image, a stream as its bytes and an array as an image: neither may change while it is looked at."""
    if isinstance(source, np.ndarray):
        return _of_array(source, _UNNAMED)
    return _read(source) if hasattr(source, "read") else source


def file_hash(image: ImageSource | None) -> str | None:
    """SHA-256 of an image file; None for a decoded image."""
    data = file_bytes(image)
    return None if data is None else hashlib.sha256(data).hexdigest()


def file_bytes(image: ImageSource | None) -> bytes | None:
    """The bytes of an image file; None for a decoded image."""
    if isinstance(image, str | Path):
        return Path(image).read_bytes()
    return image if isinstance(image, bytes) else None


@contextmanager
def upright_strips(
    source: ImageSource,
    *,
    name: str = "",
    max_pixels: int = _MAX_PIXELS,
    min_side: int = LEAST_SIDE,
    least_side: int | None = None,
    max_bytes: int | None = None,
    frame: int = 1,
) -> Iterator[Strips]:
    """What :func:`load_image` gives, part by part, so that it need not stand in memory beside what it is made of.

    Args:
        source: as all but the last for :func:`load_image`.
        name: of the image.
        max_pixels: greatest width × height.
        min_side: smallest width and height.
        least_side: that a JPEG of reduced scale keeps.
        max_bytes: what decoding may take, judged by the header.
        frame: of a DICOM object, from 1.

    Raises:
        ImageError: as :func:`load_image`.
    """
    name = name or _name(source)
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
        check_costs(image, max_bytes)
        if least_side is not None and image.format == "JPEG":
            image.draft(None, (least_side, least_side))  # None keeps the mode
        pixels = _tiff_pixels(image)
        if isinstance(image, DicomImageFile):
            image.seek(frame - 1)
        image.load()
        deep, frames = (image, image.n_frames) if isinstance(image, DicomImageFile) else (pixels, 1)
        yield Strips(image, white=deep.white, inverted=deep.inverted, frames=frames)


def image_header(source: Path | bytes) -> tuple[str, tuple[int, int]]:
    """Format, one of :data:`FORMATS` or ``MPO``, and width and height as stored; no pixel is decoded.

    Raises:
        ImageError: it is no image of these formats, or its header is damaged.
    """
    name = _name(source)
    with _as_image_error(name), _opened(source, name) as image:
        return image.format or "", image.size


def _name(source: ImageSource) -> str:
    if isinstance(source, Path | str):
        return str(source)
    name = getattr(source, "filename", "") or getattr(source, "name", "")  # of an opened image or file
    return name if isinstance(name, str) and name else _UNNAMED


@contextmanager
def _as_image_error(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises for a broken file into ImageError; its plugins raise nearly every built-in type."""
    try:
        yield
    except ImageError:
        raise
    except (UnusablePixelsError, UnboundedError, DicomError) as error:
        raise ImageError(f"{name}: {error}") from error
    except MemoryError as error:
        raise ImageError(f"{name}: decoding it takes too much memory; save it as PNG or plain JPEG") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{name}: too many pixels to be decoded safely ({error}); make the image smaller") from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ImageError(f"{name}: damaged or cut off ({reason}); get the file again") from error


@contextmanager
def _opened(source: ImageSource, name: str) -> Iterator[Image.Image]:
    """The image with its header read and its pixels not yet decoded."""
    if isinstance(source, Image.Image | np.ndarray):
        yield source if isinstance(source, Image.Image) else _of_array(source, name)
        return
    with _stream(source, name) as stream:
        head = stream.read(256)
        stream.seek(0)
        if not head:
            raise ImageError(f"{name}: the file is empty; get it again")
        try:
            image = _open(stream, head)
        except UnidentifiedImageError as error:
            raise ImageError(f"{name}: {_what_it_is(head)}") from error
        with image:
            yield image


def _of_array(array: NDArray[Any], name: str) -> Image.Image:
    """An image that shares no memory with an array of grey, or of red, green and blue."""
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ImageError(
            f"{name}: an array of {array.dtype} and shape {array.shape}; give uint8 of 0 to 255, (H, W, 3), with red "
            "first (OpenCV puts blue first: give array[..., ::-1])"
        )
    return Image.fromarray(np.array(array, order="C"))


def _open(stream: BinaryIO, head: bytes) -> Image.Image:
    try:
        return Image.open(stream, formats=FORMATS)
    except ValueError:
        if not head.startswith(PNG_SIGNATURE):
            raise
    # Too much text or too long a profile; where anything else is wrong, it still is.
    stream.seek(0)
    slim = slim_png(stream.read())
    image = Image.open(io.BytesIO(slim.data), formats=("PNG",))
    if slim.profile:
        image.info["icc_profile"] = slim.profile
    if slim.orientation and ORIENTATION_TAG not in (exif := image.getexif()):
        exif[ORIENTATION_TAG] = slim.orientation
    return image


def _tiff_pixels(image: Image.Image) -> TiffPixels:
    """How to read deep pixels; an image of another format needs nothing said."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return TiffPixels()
    pixels = tiff_pixels(image.tag_v2, big_endian=image.tag_v2.prefix == b"MM")
    if pixels.problem:
        raise UnusablePixelsError(pixels.problem)
    return pixels


def _stream(source: ImageSource, name: str) -> BinaryIO:
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if not isinstance(source, Path | str):
        return io.BytesIO(_read(source))
    if source == "":
        raise ImageError("an empty path names no image; give that of a file")
    path = Path(source)
    if path.is_dir():
        raise ImageError(f"{name}: a folder, not an image; name a file in it")
    if not path.is_file():
        raise ImageError(f"{name}: no such image file; check the path")
    try:
        return path.open("rb")
    except OSError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror}); check its permissions") from error


def _read(source: Any) -> bytes:
    """All bytes of a stream, from its beginning if it can go there."""
    if not hasattr(source, "read"):
        raise ImageError(
            f"a {type(source).__qualname__} is no image; give a path, its bytes, an open file, an array or a PIL image"
        )
    if hasattr(source, "seek"):
        source.seek(0)
    data = source.read()
    if not isinstance(data, bytes):
        raise ImageError("the file is open as text; open it with 'rb'")
    return data


def _what_it_is(head: bytes) -> str:
    if what := foreign_file(head):
        return f"this is {what}"
    return f"not an image, damaged at its start, or of another format than {', '.join(FORMATS)}; convert it to one"
