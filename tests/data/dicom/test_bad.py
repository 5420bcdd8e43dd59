"""Damaged and hostile objects get one line that says what is wrong, and take neither time nor memory."""

from __future__ import annotations

import contextlib
import random
import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from dermquery.data.decoding import Decoders
from dermquery.data.dicom import container, header
from dermquery.data.dicom.attributes import facts_of
from dermquery.data.dicom.header import read_header
from dermquery.data.image import ImageError, load_image
from tests.data.dicom.made import ENCODINGS, dermoscopic, encapsulated, jpeg, picture, put_pixels, written


def refusal(data: bytes) -> str:
    with pytest.raises(ImageError) as refused:
        load_image(data, name="x.dcm")
    said = str(refused.value)
    assert said.startswith("x.dcm: ")
    assert "\n" not in said
    return said


@pytest.mark.parametrize("name", ["explicit", "deflated", "RLE", "JPEG", "JPEG-LS", "JPEG 2000", "JPEG lossless"])
def test_cut_off_anywhere(name: str) -> None:
    data = ENCODINGS[name]()
    for share in (0.05, 0.3, 0.6, 0.95):
        cut = data[: int(len(data) * share)]
        try:
            load_image(cut)
        except ImageError:
            continue
        assert share > 0.5  # some decoders show what there is


def test_encapsulated_garbage() -> None:
    noise = random.Random(7).randbytes(5000)  # noqa: S311
    for syntax in (JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless):
        assert "get it again" in refusal(encapsulated(noise, syntax, "RGB")) or "longer" in refusal(
            encapsulated(noise, syntax, "RGB")
        )


def test_garbage_behind_a_true_header() -> None:
    """The first bytes are right, so that the decoders themselves find out, in a process of their own."""
    noise, decoders = random.Random(7), Decoders(1, max_pixels=1_000_000)  # noqa: S311
    try:
        for name in ("JPEG", "JPEG-LS", "JPEG 2000", "JPEG lossless", "HTJ2K lossless", "RLE"):
            data = bytearray(ENCODINGS[name]())
            for at in noise.sample(range(len(data) - 900, len(data)), 200):
                data[at] = noise.randrange(256)
            with contextlib.suppress(ImageError):
                decoders.decode(bytes(data), name="x.dcm")
    finally:
        decoders.close()


@pytest.mark.parametrize("frames", [1, 1000])
def test_a_header_of_60000_squared_costs_nothing(frames: int) -> None:
    data = written(dermoscopic(Rows=60000, Columns=60000, NumberOfFrames=frames))
    load_image(written(dermoscopic()))  # the libraries are loaded
    tracemalloc.start()
    begun = time.process_time()
    said = refusal(data)
    assert time.process_time() - begun < 0.1
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()
    assert "cut off" in said
    huge = encapsulated(jpeg(picture()), JPEGBaseline8Bit, "RGB", Rows=60000, Columns=60000)
    assert "60000 × 60000" in refusal(huge)


def test_more_pixels_than_allowed_although_they_are_there() -> None:
    data = written(dermoscopic())
    with pytest.raises(ImageError, match=r"80 × 60 pixels are more than the limit of 1,000"):
        load_image(data, max_pixels=1000)


def test_sequences_1000_deep() -> None:
    def nested(defined: bool) -> bytes:
        inner = b""
        for _ in range(1000):
            length = len(inner) if defined else 0xFFFFFFFF
            ends = (b"", b"") if defined else (b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0")
            item = b"\xfe\xff\x00\xe0" + struct.pack("<I", length) + inner + ends[0]
            outer = len(item) if defined else 0xFFFFFFFF
            inner = b"\x08\x00\x18\x22SQ\0\0" + struct.pack("<I", outer) + item + ends[1]
        return inner

    whole = written(dermoscopic(AnatomicRegionSequence=None))
    at = whole.index(b"\x10\x00\x20\x00LO")
    for defined in (False, True):
        data = whole[:at] + nested(defined) + whole[at:]
        begun = time.process_time()
        if defined:  # is left unread, as nobody asks for it
            assert load_image(data).size == (80, 60)
        else:
            assert "nested too deep" in refusal(data)
        assert time.process_time() - begun < 2


def test_wrong_value_representations() -> None:
    made = written(dermoscopic())
    for tag in (b"\x28\x00\x10\x00US", b"\x28\x00\x02\x00US", b"\x28\x00\x00\x01US", b"\x28\x00\x04\x00CS"):
        assert tag in made
        for vr in (b"LO", b"FD", b"SQ", b"OB", b"UN", b"ZZ", b"\0\0", b"PN", b"IS"):
            with contextlib.suppress(ImageError):
                load_image(made.replace(tag, tag[:4] + vr))


def test_attributes_of_wrong_types_and_numbers() -> None:
    for name, value in (
        ("Rows", 0),
        ("Columns", 65535),
        ("BitsAllocated", 12),
        ("BitsStored", 17),
        ("SamplesPerPixel", 4),
        ("NumberOfFrames", 2_000_000_000),
        ("NumberOfFrames", -5),
        ("BitsAllocated", 1),
    ):
        with contextlib.suppress(ImageError):
            load_image(written(dermoscopic(**{name: value})))


def test_floating_point_pixels_and_none() -> None:
    made = dermoscopic()
    made.FloatPixelData = bytes(4 * 60 * 80)
    del made.PixelData
    assert "floating-point" in refusal(written(made))
    report = dermoscopic(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33")
    del report.PixelData
    assert "without pixels: Comprehensive SR Storage" in refusal(written(report))


def test_without_preamble_and_without_meta() -> None:
    whole = written(dermoscopic())
    assert load_image(whole[132:]).size == (80, 60)
    bare = whole[whole.index(b"\x08\x00\x16\x00UI") :]
    assert load_image(bare).size == (80, 60)
    assert load_image(b"II*\0" + bytes(124) + whole[128:]).size == (80, 60)  # a preamble that says TIFF


def test_nothing_and_next_to_nothing() -> None:
    assert "empty" in refusal(b"")
    assert "without pixels" in refusal(bytes(128) + b"DICM")
    assert "not an image" in refusal(bytes(128) + b"DICN" + bytes(200))


def test_a_deflated_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    data = ENCODINGS["deflated"]()
    assert load_image(data).size == (80, 60)
    monkeypatch.setattr(header, "_MOST_INFLATED", 10_000)
    assert "deflated, and more than" in refusal(data)


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"".join(struct.pack("<HH2sH", 9, i, b"LO", 0) for i in range(0x10, 0xFFFF)) * 2,
        lambda: struct.pack("<HH2sHI", 9, 0x10, b"OB", 0, 20 << 20) + bytes(20 << 20),
    ],
)
def test_more_attributes_than_an_image_has(make: Callable[[], bytes]) -> None:
    whole = written(dermoscopic())
    at = whole.index(b"\x10\x00\x20\x00LO")
    begun = time.process_time()
    assert "before its pixels" in refusal(whole[:at] + make() + whole[at:])
    assert time.process_time() - begun < 10  # seconds of a busy machine


def test_frames_that_are_not_there() -> None:
    made = dermoscopic(NumberOfFrames=5)
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    made.PixelData = encapsulate([jpeg(picture())] * 2)
    assert "of 5 frames 2 are there" in refusal(written(made))


def test_run_length_codes_without_end() -> None:
    assert "longer than its pixels" in refusal(encapsulated(bytes(64) + b"\x81\0" * 100_000, RLELossless, "RGB"))


def test_one_sequence_of_a_million_items_is_not_parsed() -> None:
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 500_000
    whole = written(dermoscopic(AnatomicRegionSequence=None))
    at = whole.index(b"\x10\x00\x20\x00LO")
    data = whole[:at] + b"\x08\x00\x18\x22SQ\0\0" + struct.pack("<I", len(items)) + items + whole[at:]
    read = read_header(data)
    begun = time.process_time()
    assert "site" not in facts_of(read.dataset, read.class_uid)
    assert time.process_time() - begun < 0.5


def test_without_the_libraries_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "_LIBRARIES", {"pydicom": "no_such_module"})
    said = refusal(written(dermoscopic()))
    assert 'pip install "dermquery[dicom]"' in said
    assert "pydicom is missing" in said


def test_a_thumbnail_within_a_sequence_is_not_the_image() -> None:
    icon = Dataset()
    icon.Rows = icon.Columns = 8
    put_pixels(icon, picture(8, 8))
    assert load_image(written(dermoscopic(IconImageSequence=Sequence([icon])))).size == (80, 60)
