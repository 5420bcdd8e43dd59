"""Writes a de-identified DICOM object.

Its pixels are written decoded, in sRGB and as RGB: an encoded frame has places of its own for a name (EXIF and comments
of a JPEG, bytes behind its end, overlays beside it), and what a decoder made of it has none.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path

import pydicom
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import UID

from dermquery.data.dicom.attributes import DERMOSCOPIC
from dermquery.data.dicom.container import DicomError
from dermquery.data.dicom.quiet import quiet
from dermquery.data.files import replacing

__all__ = ["write_object"]

_MOST_BYTES = 1 << 30
_FILLED = {
    "Modality": "OT", "Manufacturer": "unknown", "ManufacturerModelName": "unknown", "DeviceSerialNumber": "unknown",
    "SoftwareVersions": "dermquery", "SeriesNumber": 1, "InstanceNumber": 1, "AcquisitionNumber": "",
    "ContentTime": "000000", "PatientOrientation": "", "PositionReferenceIndicator": "",
    "AcquisitionContextSequence": [], "LossyImageCompression": "00",
}  # fmt: skip
"""What an object must have, where nothing of it was kept."""


def write_object(folder: Path, attributes: Dataset, frames: Sequence[Image.Image]) -> Path:
    """Write ``<SOP instance UID>.dcm`` in a folder.

    Args:
        folder: made if need be.
        attributes: de-identified.
        frames: RGB, all of one size.

    Raises:
        DicomError: it has no UID, or its frames are too many for one object.
    """
    uid = UID(attributes.get("SOPInstanceUID", ""))
    if not uid.is_valid or "SOPClassUID" not in attributes:
        raise DicomError("it has no UID of its own or no class, so no object can be written; export it again")
    size, uid_class = frames[0].size, attributes.SOPClassUID
    if 3 * size[0] * size[1] * len(frames) > _MOST_BYTES:
        raise DicomError(f"its {len(frames)} frames take more than {_MOST_BYTES >> 20} MiB as an object")
    with quiet():
        made = Dataset()
        made.update(attributes)
        made.file_meta = attributes.file_meta
        if side := made.pop("FrameLaterality", None):  # of all frames alike, and no attribute of an object
            made.ImageLaterality = side.value
        made.ImageType = ["DERIVED", "PRIMARY"]
        for name, value in _FILLED.items():
            if name not in made:
                setattr(made, name, value)
        made.setdefault("FrameOfReferenceUID", _derived(uid))
        if uid_class == DERMOSCOPIC:
            made.setdefault("EmitterColorTemperature", None)
        made.SpecificCharacterSet = "ISO_IR 192"
        made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
        made.Columns, made.Rows = size
        made.BitsAllocated = made.BitsStored = 8
        made.HighBit, made.PixelRepresentation = 7, 0
        if len(frames) > 1:
            made.NumberOfFrames = len(frames)
        pixels = b"".join(frame.tobytes() for frame in frames)
        made.PixelData = pixels + b"\0" * (len(pixels) % 2)
        made["PixelData"].VR = "OB"
        path = folder / f"{uid}.dcm"
        with replacing(path) as part:
            pydicom.dcmwrite(part, made, enforce_file_format=True)
    return path


def _derived(uid: str) -> str:
    """A UID that belongs to another one."""
    return f"2.25.{uuid.UUID(bytes=hashlib.sha256(uid.encode()).digest()[:16], version=4).int}"
