"""Reads a DICOM object up to its pixels, in bounded time and memory.

pydicom reads what a file declares: lengths, nested sequences, a deflated data set. So it reads through a stream that
counts, and a deflated data set is inflated up to a limit first. Nothing of the pixels is read here.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from dermquery.data.dicom.container import DicomError, is_dicom
from dermquery.data.dicom.quiet import quiet
from dermquery.data.dicom.values import text

__all__ = ["UNDEFINED", "Header", "read_header"]

UNDEFINED = 0xFFFFFFFF
"""Length of a value that is a sequence of fragments."""
_MOST_BYTES, _MOST_ELEMENTS = 16 << 20, 100_000
"""Before the pixels; colour profiles, palettes and functional groups take a few hundred thousand bytes."""
_MOST_INFLATED = 512 << 20
_PIXELS = 0x7FE00010
_FLOATS = (0x7FE00008, 0x7FE00009)


@dataclass(frozen=True)
class Header:
    """A DICOM object up to its pixels.

    Attributes:
        dataset: its attributes, with ``file_meta``.
        syntax: its transfer syntax.
        stream: holds the pixels.
        start: where their value begins in it; 0 without pixels.
        length: of their value in bytes; :data:`UNDEFINED` if it is encapsulated.
        vr: value representation of the pixels.
    """

    dataset: Dataset
    syntax: UID
    stream: BinaryIO
    start: int = 0
    length: int = 0
    vr: str = "OW"

    @property
    def kind(self) -> str:
        """Name of its SOP class, such as "Dermoscopic Photography Image Storage"."""
        return self.class_uid.name if self.class_uid.is_valid else "of no known class"

    @property
    def swapped(self) -> bool:
        """Whether pixels of one byte are swapped in pairs: big endian, and written as words."""
        swapped = str(self.syntax) == str(ExplicitVRBigEndian)
        return swapped and self.vr == "OW"

    @property
    def class_uid(self) -> UID:
        """UID of its SOP class; empty if it has none."""
        return UID(text(self.dataset, "SOPClassUID") or text(self.dataset.file_meta, "MediaStorageSOPClassUID"))


def read_header(source: Path | bytes | BinaryIO) -> Header:
    """Read an object's attributes.

    Args:
        source: a file, its bytes, or a stream of them, which must stay open for as long as pixels are read.

    Raises:
        DicomError: it is no DICOM object, cut off, nested too deep, or too large before its pixels.
        OSError: the file cannot be read.
    """
    if isinstance(source, Path):
        source = source.read_bytes()
    stream = io.BytesIO(source) if isinstance(source, bytes | bytearray | memoryview) else source
    try:
        with quiet():
            return _read(stream)
    except (DicomError, MemoryError):
        raise
    except Exception as error:  # pydicom raises nearly every built-in type for a damaged file
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if _is_of_depth(error):
            raise DicomError("its sequences are nested too deep; export it again") from None
        raise DicomError(f"its attributes are damaged ({type(error).__name__}); get it again") from error


def _is_of_depth(error: BaseException | None) -> bool:
    """Whether an error comes of a recursion without end, as which pydicom passes others on."""
    while error is not None and not isinstance(error, RecursionError):
        error = error.__context__
    return error is not None


def _read(stream: BinaryIO) -> Header:
    stream.seek(0)
    head = stream.read(256)
    if not head:
        raise DicomError("the file is empty; get it again")
    if not is_dicom(head):
        raise DicomError("it is no DICOM file")
    stream.seek(132 if head[128:132] == b"DICM" else 0)
    meta = FileMetaDataset()
    meta.update(read_dataset(_counted(stream), False, True, stop_when=lambda tag, _vr, _length: tag.group != 2))
    syntax = UID(text(meta, "TransferSyntaxUID")) or _guessed(stream)
    if syntax == DeflatedExplicitVRLittleEndian:
        stream = _inflated(stream)
    found: list[tuple[int, str | None, int]] = []

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag in (*_FLOATS, _PIXELS):
            found.append((tag, vr, length))
        return bool(tag >= _FLOATS[0])

    implicit = syntax == ImplicitVRLittleEndian
    dataset = read_dataset(_counted(stream), implicit, syntax != ExplicitVRBigEndian, stop_when=at_pixels)
    dataset.file_meta = meta
    if not found:
        return Header(dataset, syntax, stream)
    tag, vr, length = found[0]
    if tag in _FLOATS:
        raise DicomError("its pixels are floating-point numbers, which no photograph has; export it with 8 bits")
    start = stream.tell() + (12 if not dataset.original_encoding[0] and vr in EXPLICIT_VR_LENGTH_32 else 8)
    left = stream.seek(0, io.SEEK_END) - start
    if length != UNDEFINED and length > left:
        raise DicomError(f"it is cut off: of {length:,} bytes of pixels {max(left, 0):,} are there; get it again")
    return Header(dataset, syntax, stream, start, length, vr or "OW")


def _guessed(stream: BinaryIO) -> UID:
    """How a data set without file meta information is written, by its first attribute."""
    at = stream.tell()
    head = stream.read(6)
    stream.seek(at)
    if not head[4:6].isalpha():
        return ImplicitVRLittleEndian
    return ExplicitVRBigEndian if head[:1] == b"\0" else ExplicitVRLittleEndian


def _inflated(stream: BinaryIO) -> BinaryIO:
    """The data set that follows, inflated; a megabyte can become a thousand."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    made = inflater.decompress(stream.read(), _MOST_INFLATED)
    if inflater.unconsumed_tail:
        raise DicomError(f"it is deflated, and more than {_MOST_INFLATED >> 20} MiB; export it uncompressed")
    return io.BytesIO(made)


class _Counted:
    """A stream that refuses to read more than a header may have."""

    def __init__(self, stream: BinaryIO) -> None:
        self.tell, self.seek, self._read = stream.tell, stream.seek, stream.read
        at = stream.tell()
        self._end = stream.seek(0, io.SEEK_END)
        stream.seek(at)
        self._bytes = self._elements = 0

    def read(self, size: int = -1) -> bytes:
        left = max(self._end - self.tell(), 0)
        size = left if size < 0 else size
        if size > left and size > 1 << 16:
            raise DicomError("it is cut off within its attributes; get it again")
        self._bytes += min(size, left)
        self._elements += size == 8
        if self._bytes > _MOST_BYTES or self._elements > _MOST_ELEMENTS:
            raise DicomError(
                f"it has more than {_MOST_BYTES >> 20} MiB or {_MOST_ELEMENTS:,} attributes before its pixels, which "
                "no photograph needs; export it again"
            )
        return self._read(size)


def _counted(stream: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", _Counted(stream))
