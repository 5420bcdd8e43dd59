"""Dermoscopic photographs as DICOM objects, with everything that the standard demands of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

__all__ = ["dermoscopic_object"]

DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"


def dermoscopic_object(path: Path, picture: Image.Image, **attributes: Any) -> Path:
    """Write a Dermoscopic Photography object without compression; ``attributes`` replace those it has otherwise."""
    pixels = np.asarray(picture.convert("RGB"))
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    plain: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192", "SOPClassUID": DERMOSCOPIC, "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid(),
        "PositionReferenceIndicator": "", "Modality": "DMS", "PatientName": "Test^Nobody", "PatientID": "T-1",
        "PatientBirthDate": "", "PatientSex": "F", "PatientAge": "045Y", "StudyDate": "20240131", "StudyTime": "101500",
        "StudyID": "1", "AccessionNumber": "", "ReferringPhysicianName": "", "SeriesNumber": 1, "InstanceNumber": 1,
        "PatientOrientation": None,
        "Manufacturer": "Test", "ManufacturerModelName": "Scope", "DeviceSerialNumber": "1", "SoftwareVersions": "1",
        "AcquisitionDateTime": "20240131101500", "ContentDate": "20240131", "ContentTime": "101500",
        "ImageType": ["ORIGINAL", "PRIMARY"], "AcquisitionContextSequence": [], "BurnedInAnnotation": "NO",
        "RecognizableVisualFeatures": "NO", "LossyImageCompression": "00", "LightSourcePolarization": "POLARIZED",
        "EmitterColorTemperature": None, "ContactMethod": "NON_CONTACT", "OpticalMagnificationFactor": None,
        "SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "BitsAllocated": 8,
        "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "Rows": pixels.shape[0], "Columns": pixels.shape[1],
        "ImageLaterality": "L",
    }  # fmt: skip
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "66643007", "SCT", "Skin of back"
    plain["AnatomicRegionSequence"] = [region]
    for name, value in (plain | attributes).items():
        if value is ...:
            continue
        setattr(data, name, value)
    data.PixelData = pixels.tobytes()
    data["PixelData"].VR = "OB"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
    data.save_as(path, enforce_file_format=True)
    return path
