"""One frame of a DICOM object as an image of Pillow's, of 8 bits and in the colours that its profile gives it.

Colour profiles and grey values of more than 8 bits are left to :mod:`dermquery.data.colour`, as for any other image.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.uid import JPEGLSTransferSyntaxes, JPEGTransferSyntaxes, RLELossless

from dermquery.data.colour import spans
from dermquery.data.dicom.container import DicomError
from dermquery.data.dicom.header import Header
from dermquery.data.dicom.layout import HTJ2K, LOSSLESS, NATIVE, Layout, frame_bytes, has_window
from dermquery.data.dicom.quiet import quiet
from dermquery.data.dicom.values import number, numbers, value

__all__ = ["Frame", "bytes_to_decode", "decoded_frame", "profile_of"]

_Pixels = NDArray[Any]
_YBR = "YBR_FULL"


@dataclass(frozen=True)
class Frame:
    """Decoded pixels.

    Attributes:
        image: mode ``RGB``, ``YCbCr``, ``L`` or ``I;16``.
        white: the value of white in a grey image of more than 8 bits.
        inverted: whether 0 is white.
    """

    image: Image.Image
    white: float | None = None
    inverted: bool = False


def decoded_frame(header: Header, layout: Layout, frame: int = 1) -> Frame:
    """Decode one frame.

    Args:
        header: of the object.
        layout: of its pixels.
        frame: from 1.

    Raises:
        DicomError: it is damaged, or encoded in a way that its decoder does not know.
    """
    encoded = frame_bytes(header, layout, frame)
    try:
        with quiet():
            pixels, ybr = _decoded(encoded, header, layout)
            if ybr and layout.samples == 3:
                size = (layout.columns, layout.rows)
                return Frame(Image.frombytes("YCbCr", size, np.ascontiguousarray(_eight_bits(pixels, layout.stored))))
            return _shown(pixels, header, layout)
    except (DicomError, MemoryError):
        raise
    except Exception as error:  # decoders raise nearly every built-in type, and quote what they found
        reason = type(error).__name__
        raise DicomError(f"its {header.syntax.name} pixels are damaged or cut off ({reason}); get it again") from error


def _decoded(encoded: bytes, header: Header, layout: Layout) -> tuple[_Pixels, bool]:
    """Pixels (rows, columns) or (rows, columns, 3), and whether they are luminance and two colour differences."""
    if header.syntax in LOSSLESS:
        return _lossless(encoded, layout)
    if header.syntax in JPEGTransferSyntaxes:
        return _jpeg(encoded, layout), False
    native = header.syntax in NATIVE
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": 1,
        "samples_per_pixel": layout.samples,
        "photometric_interpretation": layout.photometric,
        "bits_allocated": layout.allocated,
        "bits_stored": layout.stored,
        "pixel_representation": int(layout.signed),
        "planar_configuration": int(layout.planar),
        "transfer_syntax_uid": header.syntax,
        "pixel_keyword": "PixelData",
        "pixel_vr": "OB" if layout.allocated == 8 else header.vr,
        "decoding_plugin": "" if native else _plugin(header.syntax),
    }
    source = encoded if native else encapsulate([encoded])
    pixels, said = get_decoder(header.syntax).as_array(source, index=0, raw=True, **options)
    return pixels, str(said["photometric_interpretation"]).startswith(_YBR)


def _plugin(syntax: str) -> str:
    """The decoder to use; pydicom would try any that is installed, GDCM first, which ends the process on bad pixels."""
    if syntax in JPEGLSTransferSyntaxes:
        return "pyjpegls"
    return "pydicom" if syntax == RLELossless else "pylibjpeg"


def _jpeg(encoded: bytes, layout: Layout) -> _Pixels:
    """A JPEG as any program shows it, so that it may stay as it is outside of the object.

    Without a marker of its own for them its colours are those that the object says.
    """
    with Image.open(io.BytesIO(encoded), formats=("JPEG",)) as image:
        if layout.photometric == "RGB" and not {"jfif", "adobe_transform"} & set(image.info):
            image.draft("YCbCr", image.size)  # as they are stored
        return np.asarray(image if image.mode in {"L", "YCbCr"} else image.convert("RGB"))


def _lossless(encoded: bytes, layout: Layout) -> tuple[_Pixels, bool]:
    """A lossless JPEG by Pillow, which cannot turn its colours: so they are asked for as they are, by either name."""
    shape = (layout.rows, layout.columns, layout.samples)[: 3 if layout.samples > 1 else 2]
    for mode in ("YCbCr", None) if layout.samples > 1 else (None,):
        with Image.open(io.BytesIO(encoded), formats=("JPEG",)) as image:
            if mode:
                image.draft(mode, image.size)
            try:
                pixels: _Pixels = np.frombuffer(image.tobytes(), np.uint8).reshape(shape)
            except OSError:
                if mode is None:
                    raise
                continue
            return pixels, layout.photometric.startswith(_YBR) or image.info.get("adobe_transform") == 1
    raise DicomError("its lossless JPEG has no colours that are known; get it again")


def _shown(pixels: _Pixels, header: Header, layout: Layout) -> Frame:
    if layout.photometric == "PALETTE COLOR":
        return Frame(Image.fromarray(_palette(pixels, header, layout)))
    if layout.samples == 3:
        return Frame(Image.fromarray(np.ascontiguousarray(_eight_bits(pixels, layout.stored))))
    inverted = layout.photometric == "MONOCHROME1"
    if has_window(header):
        windowed = apply_voi_lut(apply_modality_lut(pixels, header.dataset), header.dataset)
        grey, most = _windowed(windowed, header, layout), 255.0
    else:
        grey, most = (_spread(pixels), 255.0) if layout.signed else (pixels, float((1 << layout.stored) - 1))
    if grey.min() < 0 or grey.max() > most:
        grey = np.clip(grey, 0, most)
    if most > 0xFFFF:
        grey, most = grey // (1 << (layout.stored - 16)), 0xFFFF
    if most == 0xFF:
        eight = grey.astype(np.uint8)
        return Frame(Image.fromarray(255 - eight if inverted else eight))
    return Frame(Image.fromarray(grey.astype(np.uint16)), white=most, inverted=inverted)


def _eight_bits(pixels: _Pixels, bits: int) -> NDArray[np.uint8]:
    if bits == 8:
        return pixels.astype(np.uint8, copy=False)
    kept = min(bits, 16)
    most = (1 << kept) - 1
    table = np.rint(np.arange(most + 1) * (255.0 / most)).astype(np.uint8)
    return _looked_up(table, pixels, lambda part: np.minimum(part >> (bits - kept), most))


def _palette(pixels: _Pixels, header: Header, layout: Layout) -> NDArray[np.uint8]:
    """Colours of indices, by a table of what each index is; pydicom's takes 40 bytes a pixel."""
    indices = np.arange(1 << min(layout.stored, 16)).astype(pixels.dtype)
    table = _eight_bits(apply_color_lut(indices, header.dataset)[..., :3], _palette_bits(header))
    return _looked_up(table, pixels, lambda part: np.clip(part, 0, len(table) - 1))


def _looked_up(table: NDArray[np.uint8], pixels: _Pixels, index: Callable[[_Pixels], _Pixels]) -> NDArray[np.uint8]:
    """``table[index(pixels)]`` in parts, as NumPy takes 8 bytes for each index."""
    made = np.empty((*pixels.shape, *table.shape[1:]), np.uint8)
    for top, bottom in spans(*pixels.shape[:2]):
        made[top:bottom] = table[index(pixels[top:bottom])]
    return made


def _palette_bits(header: Header) -> int:
    """Bits of an entry. Some write 16 and fill them with values of 8, which the greatest of them shows."""
    described = numbers(header.dataset, "RedPaletteColorLookupTableDescriptor")
    bits = 16 if len(described) > 2 and described[2] == 16 else 8
    tables = [value(header.dataset, f"{colour}PaletteColorLookupTableData") for colour in ("Red", "Green", "Blue")]
    entries = [np.frombuffer(table, np.uint16) for table in tables if isinstance(table, bytes) and len(table) % 2 == 0]
    return 8 if bits == 16 and entries and max(int(each.max(initial=0)) for each in entries) < 256 else bits


def _spread(grey: _Pixels) -> _Pixels:
    """Signed values from their least to their greatest, for nothing says which of them are black and white."""
    low, high = float(grey.min()), float(grey.max())
    return np.rint((grey.astype(np.float64) - low) * (255.0 / max(high - low, 1.0)))


def _windowed(grey: _Pixels, header: Header, layout: Layout) -> _Pixels:
    """Values of a window or its table, brought to 255; a window ends at the range of what is stored."""
    low, high = float(grey.min()), float(grey.max())
    if "VOILUTSequence" not in header.dataset:
        slope, intercept = (
            number(header.dataset, "RescaleSlope") or 1.0,
            number(header.dataset, "RescaleIntercept") or 0,
        )
        least = -(1 << (layout.stored - 1)) if layout.signed else 0
        ends = [slope * end + intercept for end in (least, least + (1 << layout.stored) - 1)]
        low, high = min(ends), max(ends)
    return np.rint((grey.astype(np.float64) - low) * (255.0 / max(high - low, 1e-9)))


def profile_of(header: Header) -> bytes | None:
    """The colour profile of an object, in itself or in its optical path; None without one."""
    profile = value(header.dataset, "ICCProfile")
    return profile if isinstance(profile, bytes) and profile else None


def bytes_to_decode(header: Header, layout: Layout) -> int:
    """The greatest memory that decoding one frame takes beside Pillow's pixels."""
    sample = layout.allocated // 8
    each = 4.0 * layout.samples * sample  # what is encoded, what the decoder makes, and copies of it
    if header.syntax in HTJ2K or header.syntax.name.startswith("JPEG 2000"):
        each += 4.0 * layout.samples * 2
    if layout.samples == 1 and (layout.signed or has_window(header)):
        each += 24
    if layout.photometric == "PALETTE COLOR" or (layout.samples == 3 and layout.stored > 8):
        each += 3
    return int(each * layout.rows * layout.columns)
