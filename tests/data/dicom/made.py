"""DICOM objects for tests, written by pydicom and its encoders, so that each can be judged by the picture it holds."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import convert_color_space
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

Pixels = NDArray[np.uint8]
DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"
CLINICAL = "1.2.840.10008.5.1.4.1.1.77.1.4"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
ROWS, COLUMNS = 60, 80
_HERE = Path(__file__).parent


def picture(rows: int = ROWS, columns: int = COLUMNS) -> Pixels:
    """A lesion on skin, smooth enough for lossy encodings."""
    y, x = np.mgrid[0:rows, 0:columns].astype(float)
    away = np.hypot((y - rows / 2) / rows, (x - columns / 2) / columns)
    lesion = 1 / (1 + np.exp(25 * (away - 0.28)))
    skin = np.stack([214 + 10 * x / columns, 168 + 8 * y / rows, 150 + 0 * x], axis=-1)
    dark = np.stack([96 + 30 * np.sin(x / 9), 58 + 16 * np.cos(y / 7), 48 + 0 * x], axis=-1)
    shown: Pixels = np.rint(skin * (1 - lesion[..., None]) + dark * lesion[..., None]).astype(np.uint8)
    return shown


def dermoscopic(**attributes: Any) -> Dataset:
    """A Dermoscopic Photography object of :func:`picture`, uncompressed; attributes replace others, None removes."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = DERMOSCOPIC, "1.2.3.4.5.1"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3.4.5.2", "1.2.3.4.5.3"
    made.Modality = "DMS"
    made.PatientID, made.PatientSex, made.PatientAge = "4711", "F", "045Y"
    made.StudyDate, made.ContentDate = "20240331", "20240402"
    made.Manufacturer, made.ManufacturerModelName = "Acme", "Scope 3"
    made.BurnedInAnnotation, made.RecognizableVisualFeatures = "NO", "NO"
    made.LightSourcePolarization, made.ContactMethod, made.ImmersionMedia = "POLARIZED", "CONTACT", "ALCOHOL"
    made.OpticalMagnificationFactor = 10
    made.ImageLaterality = "L"
    made.TrackingID, made.TrackingUID = "lesion 1", "1.2.3.4.5.9"
    made.AnatomicRegionSequence = Sequence([coded("66643007", "SCT", "Skin of back")])
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    put_pixels(made, picture())
    for name, value in attributes.items():
        if value is None:
            delattr(made, name)
        else:
            setattr(made, name, value)
    return made


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def put_pixels(made: Dataset, pixels: NDArray[Any], photometric: str = "RGB", *, stored: int | None = None) -> Dataset:
    """Give an object pixels (rows, columns), or with three samples behind; of several frames, with those in front."""
    samples = 3 if pixels.shape[-1] == 3 else 1
    made.Rows, made.Columns = pixels.shape[-3:-1] if samples == 3 else pixels.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = samples, photometric
    made.BitsAllocated = 8 * pixels.dtype.itemsize
    made.BitsStored = stored or made.BitsAllocated
    made.HighBit, made.PixelRepresentation = made.BitsStored - 1, 0
    if samples == 3:
        made.PlanarConfiguration = 0
    data = pixels.tobytes()
    made.PixelData = data + b"\0" * (len(data) % 2)
    made["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    return made


def written(made: Dataset) -> bytes:
    """The object as a file."""
    made.file_meta.MediaStorageSOPClassUID = made.get("SOPClassUID", "")
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", "")
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _native(syntax: str) -> bytes:
    made = dermoscopic()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    if syntax == ExplicitVRBigEndian:
        made["PixelData"].VR = "OW"
        made.PixelData = np.frombuffer(made.PixelData, np.uint16).byteswap().tobytes()
    return written(made)


def _planar() -> bytes:
    made = dermoscopic()
    made.PlanarConfiguration = 1
    made.PixelData = np.ascontiguousarray(picture().transpose(2, 0, 1)).tobytes()
    return written(made)


def _ybr() -> bytes:
    made = dermoscopic()
    return written(put_pixels(made, convert_color_space(picture(), "RGB", "YBR_FULL"), "YBR_FULL"))


def _ybr_422() -> bytes:
    made = dermoscopic()
    ybr = convert_color_space(picture(), "RGB", "YBR_FULL")
    pairs = np.stack([ybr[:, ::2, 0], ybr[:, 1::2, 0], ybr[:, ::2, 1], ybr[:, ::2, 2]], axis=-1)
    made.PhotometricInterpretation, made.PixelData = "YBR_FULL_422", np.ascontiguousarray(pairs).tobytes()
    return written(made)


def _compressed(syntax: str, **options: Any) -> bytes:
    made = dermoscopic()
    made.compress(syntax, generate_instance_uid=False, **options)
    return written(made)


def encapsulated(frame: bytes, syntax: str, photometric: str, **attributes: Any) -> bytes:
    """An object of one encoded frame."""
    made = dermoscopic()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    made.PhotometricInterpretation = photometric
    made.PixelData = encapsulate([frame])
    made["PixelData"].is_undefined_length = True
    for name, value in attributes.items():
        setattr(made, name, value)
    return written(made)


def jpeg(pixels: Pixels, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=98, **options)
    return stream.getvalue()


def _palette() -> bytes:
    indexed = Image.fromarray(picture()).quantize(256, method=Image.Quantize.MEDIANCUT)
    colours = np.array(indexed.getpalette(), np.uint16).reshape(-1, 3)
    made = dermoscopic()
    put_pixels(made, np.asarray(indexed), "PALETTE COLOR")
    for number, name in enumerate(("Red", "Green", "Blue")):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [len(colours), 0, 16])
        made[f"{name}PaletteColorLookupTableDescriptor"].VR = "US"
        setattr(made, f"{name}PaletteColorLookupTableData", (colours[:, number] * 257).tobytes())
    return written(made)


def _sixteen() -> bytes:
    return written(put_pixels(dermoscopic(), picture().astype(np.uint16) * 257))


ENCODINGS: Mapping[str, Callable[[], bytes]] = {
    "explicit": lambda: _native(ExplicitVRLittleEndian),
    "implicit": lambda: _native(ImplicitVRLittleEndian),
    "deflated": lambda: _native(DeflatedExplicitVRLittleEndian),
    "big endian": lambda: _native(ExplicitVRBigEndian),
    "planar": _planar,
    "YBR_FULL": _ybr,
    "YBR_FULL_422": _ybr_422,
    "RLE": lambda: _compressed(RLELossless),
    "JPEG-LS": lambda: _compressed(JPEGLSLossless),
    "JPEG-LS lossy": lambda: _compressed(JPEGLSNearLossless, jls_error=1),
    "JPEG 2000 lossless": lambda: encapsulated(_j2k(), JPEG2000Lossless, "YBR_RCT"),
    "JPEG 2000": lambda: encapsulated(_j2k(compression_ratios=[4]), JPEG2000, "YBR_ICT"),
    "JPEG": lambda: encapsulated(jpeg(picture(), subsampling=0), JPEGBaseline8Bit, "YBR_FULL_422"),
    "JPEG lossless": lambda: encapsulated((_HERE / "picture.ljpeg").read_bytes(), JPEGLosslessSV1, "RGB"),
    "HTJ2K lossless": lambda: encapsulated((_HERE / "picture.htj2k").read_bytes(), HTJ2KLossless, "YBR_RCT"),
    "PALETTE COLOR": _palette,
    "16 bits": _sixteen,
}
"""One picture in each encoding, by name. For two no encoder installs with the decoders: HTJ2K was encoded once by
imagecodecs 2026.3.6, lossless JPEG by python-gdcm 3.2.6."""


def _j2k(**options: Any) -> bytes:
    code: bytes = encode_array(picture(), photometric_interpretation=1, use_mct=True, **options)
    return code
