"""One frame of a DICOM object as an image of Pillow's, of 8 bits and in the colours that its profile gives it.

Colour profiles and grey values of more than 8 bits are left to :mod:`dermquery.data.colour`, as for any other image.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut, convert_color_space
from pydicom.uid import JPEGLSTransferSyntaxes, JPEGTransferSyntaxes, RLELossless

from dermquery.data.dicom.container import DicomError
from dermquery.data.dicom.header import Header
from dermquery.data.dicom.layout import HTJ2K, LOSSLESS, NATIVE, Layout, frame_bytes
from dermquery.data.dicom.quiet import quiet
from dermquery.data.dicom.values import number, numbers, value

__all__ = ["Frame", "bytes_to_decode", "decoded_frame", "profile_of"]

_Pixels = NDArray[Any]


@dataclass(frozen=True)
class Frame:
    """Decoded pixels.

    Attributes:
        image: mode ``RGB``, ``L`` or ``I;16``.
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
            pixels = _decoded(encoded, header, layout)
            return _shown(pixels, header, layout)
    except (DicomError, MemoryError):
        raise
    except Exception as error:  # decoders raise nearly every built-in type, and quote what they found
        reason = type(error).__name__
        raise DicomError(f"its {header.syntax.name} pixels are damaged or cut off ({reason}); get it again") from error


def _decoded(encoded: bytes, header: Header, layout: Layout) -> _Pixels:
    """Pixels (rows, columns) or (rows, columns, 3)."""
    if header.syntax in LOSSLESS:
        return _lossless(encoded, layout)
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
    }
    source = encoded if native else encapsulate([encoded])
    plugin = "" if native else _plugin(header.syntax)
    pixels, _ = get_decoder(header.syntax).as_array(source, index=0, decoding_plugin=plugin, **options)
    return pixels


def _plugin(syntax: str) -> str:
    """The decoder to use; pydicom would try any that is installed, GDCM first, which ends the process on bad pixels."""
    if syntax in JPEGTransferSyntaxes:
        return "pillow"
    if syntax in JPEGLSTransferSyntaxes:
        return "pyjpegls"
    return "pydicom" if syntax == RLELossless else "pylibjpeg"


def _lossless(encoded: bytes, layout: Layout) -> _Pixels:
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
            ybr = layout.photometric.startswith("YBR_FULL") or image.info.get("adobe_transform") == 1
            return convert_color_space(pixels, "YBR_FULL", "RGB") if ybr and layout.samples > 1 else pixels
    raise DicomError("its lossless JPEG has no colours that are known; get it again")


def _shown(pixels: _Pixels, header: Header, layout: Layout) -> Frame:
    if layout.photometric == "PALETTE COLOR":
        return Frame(_rgb(apply_color_lut(pixels, header.dataset), _palette_bits(header)))
    if layout.samples == 3:
        return Frame(_rgb(pixels, layout.stored))
    inverted = layout.photometric == "MONOCHROME1"
    if _has_window(header):
        windowed = apply_voi_lut(apply_modality_lut(pixels, header.dataset), header.dataset)
        grey, most = _windowed(windowed, header, layout), 255.0
    else:
        grey, most = pixels, float((1 << layout.stored) - 1)
        if layout.signed:
            grey = grey.astype(np.int64) + (1 << (layout.stored - 1))
    if grey.min() < 0 or grey.max() > most:
        grey = np.clip(grey, 0, most)
    if most > 0xFFFF:
        grey, most = grey // (1 << (layout.stored - 16)), 0xFFFF
    if most == 0xFF:
        eight = grey.astype(np.uint8)
        return Frame(Image.fromarray(255 - eight if inverted else eight))
    return Frame(Image.fromarray(grey.astype(np.uint16)), white=most, inverted=inverted)


def _rgb(pixels: _Pixels, bits: int) -> Image.Image:
    if bits > 8:
        most = (1 << bits) - 1
        pixels = np.rint(np.minimum(pixels, most) * (255.0 / most))
    elif bits < 8:
        pixels = np.minimum(pixels, (1 << bits) - 1).astype(np.float32) * (255.0 / ((1 << bits) - 1))
    return Image.fromarray(np.ascontiguousarray(pixels[..., :3], dtype=np.uint8))


def _palette_bits(header: Header) -> int:
    """Bits of an entry. Some write 16 and fill them with values of 8, which the greatest of them shows."""
    described = numbers(header.dataset, "RedPaletteColorLookupTableDescriptor")
    bits = 16 if len(described) > 2 and described[2] == 16 else 8
    tables = [value(header.dataset, f"{colour}PaletteColorLookupTableData") for colour in ("Red", "Green", "Blue")]
    entries = [np.frombuffer(table, np.uint16) for table in tables if isinstance(table, bytes) and len(table) % 2 == 0]
    return 8 if bits == 16 and entries and max(int(each.max(initial=0)) for each in entries) < 256 else bits


def _has_window(header: Header) -> bool:
    return bool(numbers(header.dataset, "WindowWidth")) or "VOILUTSequence" in header.dataset


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
    each = 3.0 * layout.samples * sample  # what is encoded, what the decoder makes, and its copy
    if header.syntax in HTJ2K or header.syntax.name.startswith("JPEG 2000"):
        each += 4.0 * layout.samples * 2
    if layout.samples == 1 and _has_window(header):
        each += 24
    if layout.photometric == "PALETTE COLOR":
        each += 16
    if layout.samples == 3 and layout.stored > 8:
        each += 24
    return int(each * layout.rows * layout.columns)
