"""How the pixels of a DICOM object are laid out: what its attributes say, mended where the pixels prove otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from pydicom.encaps import get_frame, parse_basic_offsets, parse_fragments
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from dermquery.data.dicom.codestream import codestream
from dermquery.data.dicom.container import DicomError
from dermquery.data.dicom.header import UNDEFINED, Header
from dermquery.data.dicom.values import number, numbers, text

__all__ = ["HTJ2K", "LOSSLESS", "NATIVE", "Layout", "frame_bytes", "layout_of"]

NATIVE = frozenset(
    {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
)
LOSSLESS = frozenset({JPEGLossless, JPEGLosslessSV1})
HTJ2K = frozenset(f"1.2.840.10008.1.2.4.{last}" for last in (201, 202, 203))
_JPEG2000 = frozenset({*JPEG2000TransferSyntaxes[:2], *HTJ2K})
_DECODED = frozenset({*NATIVE, RLELossless, *JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *_JPEG2000})
_NAMES = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
"""Names that pydicom does not know yet."""
_YBR, _YBR_422 = "YBR_FULL", "YBR_FULL_422"
_COLOURS = frozenset({"RGB", _YBR, _YBR_422, "YBR_RCT", "YBR_ICT"})
_GREY = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
_MOST_FRAMES = 100_000


@dataclass(frozen=True)
class Layout:
    """The pixels of an object.

    Attributes:
        rows, columns: of a frame.
        frames: how many there are.
        samples: of each pixel.
        photometric: what the samples mean, by DICOM's term.
        allocated, stored: bits of a sample, in memory and in use.
        signed: whether samples are signed.
        planar: whether each colour is a plane of its own.
        mended: what was taken otherwise than the attributes say, for people.
    """

    rows: int
    columns: int
    frames: int
    samples: int
    photometric: str
    allocated: int
    stored: int
    signed: bool
    planar: bool
    mended: tuple[str, ...] = ()

    @cached_property
    def frame_bytes(self) -> int:
        """Bytes of a frame that is not encoded."""
        samples = 2 if self.photometric == _YBR_422 else self.samples
        return self.rows * self.columns * samples * self.allocated // 8

    def but(self, photometric: str, samples: int, why: str) -> Layout:
        """The same, read in another way than its attributes say."""
        said = f"{self.photometric or 'no photometric interpretation'} with {self.samples} samples a pixel"
        note = f"{said} is read as {photometric}: {why}"
        return replace(self, photometric=photometric, samples=samples, mended=(*self.mended, note))


def layout_of(header: Header, *, frame: int = 1) -> Layout:
    """The layout of an object's pixels; no pixel is decoded.

    Args:
        header: of the object.
        frame: whose encoded bytes are asked where the attributes contradict them.

    Raises:
        DicomError: it has no pixels, or they cannot be decoded as the attributes declare them.
    """
    if not header.start:
        raise DicomError(f"it is a DICOM object without pixels: {header.kind}", kind=header.kind)
    if header.syntax not in _DECODED:
        name = _NAMES.get(header.syntax) or (header.syntax.name if header.syntax.is_valid else "an unknown encoding")
        raise DicomError(f"its pixels are encoded as {name}, which is not decoded; export it as JPEG or uncompressed")
    said = _said(header)
    if said.signed and said.samples == 1 and not has_window(header):
        said = replace(
            said, mended=(*said.mended, "signed grey values without a window are spread over black to white")
        )
    if not (said.rows and said.columns):
        raise DicomError("it says no rows and columns; export it again")
    if said.allocated not in (8, 16, 32) or not 0 < said.stored <= said.allocated:
        raise DicomError(f"{said.stored} of {said.allocated} bits for a sample are not decoded; export it with 8 bits")
    if (header.length == UNDEFINED) is (header.syntax in NATIVE):
        raise DicomError(
            "its transfer syntax and its pixels disagree on whether they are encapsulated; export it again"
        )
    return _of_length(said, header) if header.syntax in NATIVE else _of_codestream(said, header, frame)


def has_window(header: Header) -> bool:
    """Whether an object says which of its grey values are shown as black and white."""
    return bool(numbers(header.dataset, "WindowWidth")) or "VOILUTSequence" in header.dataset


def _said(header: Header) -> Layout:
    def whole(name: str, missing: int = 0) -> int:
        found = number(header.dataset, name)
        return missing if found is None else int(found)

    photometric = text(header.dataset, "PhotometricInterpretation").upper()
    samples = whole("SamplesPerPixel", 3 if photometric in _COLOURS else 1)
    allocated = whole("BitsAllocated", 8)
    frames = max(1, whole("NumberOfFrames", 1))
    if frames > _MOST_FRAMES:
        raise DicomError(f"it declares {frames:,} frames; at most {_MOST_FRAMES:,} are read")
    if photometric not in _COLOURS | _GREY:
        photometric = ""
    return Layout(
        rows=whole("Rows"), columns=whole("Columns"), frames=frames, samples=samples, photometric=photometric,
        allocated=allocated, stored=whole("BitsStored", allocated), signed=whole("PixelRepresentation") == 1,
        planar=whole("PlanarConfiguration") == 1 and samples > 1,
    )  # fmt: skip


def _of_length(said: Layout, header: Header) -> Layout:
    """Pixels that are not encoded: their length proves how many samples there are."""
    each = said.rows * said.columns * said.frames * said.allocated // 8
    length = header.length
    if said.photometric == _YBR_422 and length >= 3 * each:
        said = said.but("RGB", 3, "its pixels are not subsampled")
    elif (
        said.samples == 3 and said.photometric != _YBR_422 and 2 * each <= length < 3 * each and _even(length, 2 * each)
    ):
        said = said.but(_YBR_422, 3, "its pixels are subsampled")
    elif said.samples == 1 and said.photometric in _COLOURS | {""} and length >= 3 * each:
        said = said.but("RGB", 3, "there are three samples")
    elif said.samples != 1 and _even(length, each):
        said = said.but("MONOCHROME2", 1, "there is one sample")
    return _agreed(said, length)


def _even(length: int, expected: int) -> bool:
    return length in (expected, expected + expected % 2)


def _agreed(said: Layout, length: int | None = None) -> Layout:
    """Samples and their meaning belong together; what is missing is what nearly every object has."""
    wanted = 3 if said.photometric in _COLOURS else 1
    if said.samples not in (1, 3):
        raise DicomError(f"{said.samples} samples a pixel are not decoded; export it as RGB")
    if not said.photometric or said.samples != wanted:
        said = said.but("RGB" if said.samples == 3 else "MONOCHROME2", said.samples, "that is what its samples are")
    if length is not None and length < said.frames * said.frame_bytes:
        raise DicomError(
            f"it is cut off: {said.frames} × {said.rows} × {said.columns} pixels take "
            f"{said.frames * said.frame_bytes:,} bytes, and {length:,} are there; get it again"
        )
    if length is not None and length >= 2 * said.frames * said.frame_bytes:
        raise DicomError(
            f"it holds {length // (said.frames * said.frame_bytes)} times as many pixels as it says: samples or frames "
            "that are not counted; export it again"
        )
    return said


def _of_codestream(said: Layout, header: Header, frame: int) -> Layout:
    """Encoded pixels: the code says how large they are, of how many samples, and some what they mean."""
    encoded = frame_bytes(header, said, frame)
    if header.syntax == RLELossless:
        if len(encoded) > 64 + 2 * said.rows * said.columns * said.samples * said.allocated // 8:
            raise DicomError("its run-length code is longer than its pixels; export it again")
        return _agreed(replace(said, photometric=_YBR) if said.photometric == _YBR_422 else said)
    code = codestream(encoded)
    if code is None:
        raise DicomError(f"its pixels are no {header.syntax.name}; get it again")
    if header.syntax in JPEGLSTransferSyntaxes and b"\xff\xd9" not in encoded:
        raise DicomError("its JPEG-LS pixels are cut off; get it again")  # CharLS would look for the end for 20 s
    if code.bits > 8 and header.syntax in JPEGTransferSyntaxes:
        raise DicomError(f"a JPEG of {code.bits} bits a sample, which is not decoded; export it with 8 bits")
    if (code.rows, code.columns) != (said.rows, said.columns):
        raise DicomError(
            f"it says {said.columns} × {said.rows} pixels, and its code {code.columns} × {code.rows}; export it again"
        )
    if code.samples != said.samples:
        meant = "RGB" if code.samples == 3 else "MONOCHROME2"
        said = said.but(meant, code.samples, f"its code has {code.samples} samples a pixel")
    if code.transformed and said.photometric in {_YBR, _YBR_422}:
        said = said.but("RGB", 3, "JPEG 2000's own transform was used")
    return _agreed(replace(said, stored=min(said.stored, code.bits) if code.bits < said.stored else said.stored))


def frame_bytes(header: Header, layout: Layout, frame: int) -> bytes:
    """The bytes of one frame, as they are encoded.

    Args:
        header: of the object.
        layout: of its pixels.
        frame: from 1.

    Raises:
        DicomError: there is no such frame, or its bytes are not there.
    """
    if not 1 <= frame <= layout.frames:
        raise DicomError(f"it has {layout.frames} frames, so there is no frame {frame}")
    header.stream.seek(header.start)
    if header.syntax in NATIVE:
        return _native_bytes(header, layout, frame)
    try:
        parse_basic_offsets(header.stream)
        count, _ = parse_fragments(header.stream)
        header.stream.seek(header.start)
        if count >= layout.frames:
            offsets = _extended_offsets(header)
            return get_frame(header.stream, frame - 1, extended_offsets=offsets, number_of_frames=layout.frames)
    except Exception as error:  # whatever the items of a damaged sequence of fragments make of it
        reason = type(error).__name__
        raise DicomError(f"the sequence of its encoded frames is damaged ({reason}); get it again") from error
    raise DicomError(f"it is cut off: of {layout.frames} frames {count} are there; get it again")


def _native_bytes(header: Header, layout: Layout, frame: int) -> bytes:
    begin = (frame - 1) * layout.frame_bytes
    if not header.swapped or layout.allocated != 8:
        header.stream.seek(begin, 1)
        return header.stream.read(layout.frame_bytes)
    odd = begin % 2  # bytes that were written as words of two, the higher one first
    header.stream.seek(begin - odd, 1)
    words = bytearray(header.stream.read((odd + layout.frame_bytes + 1) // 2 * 2))
    words[::2], words[1::2] = words[1::2], words[::2]
    return bytes(words[odd : odd + layout.frame_bytes])


def _extended_offsets(header: Header) -> tuple[bytes, bytes] | None:
    table, lengths = header.dataset.get("ExtendedOffsetTable"), header.dataset.get("ExtendedOffsetTableLengths")
    whole = isinstance(table, bytes) and isinstance(lengths, bytes) and len(table) == len(lengths)
    return (table, lengths) if whole else None
