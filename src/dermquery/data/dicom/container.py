"""What a DICOM file is known by, before any library is loaded for it."""

from __future__ import annotations

import importlib
import re

__all__ = ["NAMES_SOMEBODY", "REMEDY", "DicomError", "is_dicom", "need_libraries"]

NAMES_SOMEBODY = (
    "a DICOM object, which names its patient and would be kept as it is; prepare it with: dermquery data prepare dicom"
)
"""Why an object, whatever its file is called, is no image of a case."""
REMEDY = 'reading DICOM needs more libraries; install them with: pip install "dermquery[dicom]"'
_LIBRARIES = {
    "pydicom": "pydicom",
    "pyjpegls": "jpeg_ls",
    "pylibjpeg": "pylibjpeg",
    "pylibjpeg-openjpeg": "openjpeg",
    "dicom-anonymizer": "dicomanonymizer",
}
"""Packages and what is imported of them."""
_WITHOUT_PREAMBLE = re.compile(
    rb"\x02\x00(?:\x00\x00UL\x04\x00|\x01\x00OB|\x02\x00UI|\x10\x00UI)"  # the file meta information
    rb"|\x08\x00(?:[\x00\x01]\x00(?:UL\x04\x00|\x04\x00\x00\x00)|[\x05\x08]\x00(?:CS|.\x00\x00\x00)"
    rb"|[\x12\x13\x14\x16\x18\x20]\x00(?:DA|TM|UI|.\x00\x00\x00))"
    rb"|\x00\x08\x00[\x05\x08\x16](?:CS|UI)",  # big endian
    re.DOTALL,
)
"""How data sets begin that were written without a preamble, as older software does."""


class DicomError(ValueError):
    """A DICOM object cannot be used; the message says why, and the remedy, and quotes no text of the object.

    Attributes:
        kind: what kind of object it is, if it is no image at all.
    """

    def __init__(self, message: str, *, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


def is_dicom(head: bytes) -> bool:
    r"""Whether a file that begins with ``head``, at least 132 bytes of it, is a DICOM file.

    >>> is_dicom(bytes(128) + b"DICM"), is_dicom(b"\x89PNG" + bytes(128))
    (True, False)
    """
    return head[128:132] == b"DICM" or _WITHOUT_PREAMBLE.match(head) is not None


def need_libraries() -> None:
    """Load what decodes the pixels, so that no limit of memory set later counts it.

    Raises:
        DicomError: the extra is not installed.
    """
    for package, module in _LIBRARIES.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise DicomError(f"{REMEDY} ({package} is missing)") from error
    importlib.import_module("dermquery.data.dicom.pixels")
