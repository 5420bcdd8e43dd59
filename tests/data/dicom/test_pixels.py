"""Every encoding shows the picture that was encoded; what contradicts itself is mended where the pixels prove it."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import pixel_array
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

from dermquery.data.decoding import Decoders
from dermquery.data.dicom.frames import said_of_frames
from dermquery.data.dicom.header import read_header
from dermquery.data.dicom.layout import layout_of
from dermquery.data.image import ImageError, UprightImage, image_header, load_image
from tests.data.colour_profiles import SRGB, rgb_profile
from tests.data.dicom.made import (
    COLUMNS,
    ENCODINGS,
    ROWS,
    dermoscopic,
    encapsulated,
    jpeg,
    picture,
    put_pixels,
    written,
)

_FILES = Path(pydicom.data.__file__).parent


def shown(data: bytes, frame: int = 1) -> NDArray[np.int_]:
    return np.asarray(load_image(data, frame=frame)).astype(int)


def off(data: bytes, source: NDArray[np.uint8] | None = None) -> float:
    """Mean absolute difference to the source, in grey levels."""
    return float(np.abs(shown(data) - (picture() if source is None else source)).mean())


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_shows_its_picture(name: str) -> None:
    assert off(ENCODINGS[name]()) < (2 if name == "PALETTE COLOR" else 1)


def test_the_bounded_decoder_gives_the_same_and_every_frame() -> None:
    frames = np.stack([picture(), picture()[:, ::-1], picture()[::-1]])
    several = written(put_pixels(dermoscopic(NumberOfFrames=3), frames))
    decoders = Decoders(1, max_pixels=1_000_000)
    try:
        for name, make in ENCODINGS.items():
            data = make()
            assert decoders.decode(data, name=name).tobytes() == load_image(data).tobytes(), name
        for number, frame in enumerate(frames, start=1):
            assert np.array_equal(np.asarray(decoders.decode(several, frame=number)), frame)
        with pytest.raises(ImageError, match="has 3 frames"):
            decoders.decode(several, frame=4)
    finally:
        decoders.close()


def _colour_files() -> list[Path]:
    found = []
    for path in sorted(_FILES.rglob("*.dcm")):
        with path.open("rb") as file:
            try:
                header = read_header(file)
                layout = layout_of(header)
            except ValueError:
                continue
            if layout.samples == 3 and min(layout.rows, layout.columns) >= 16:
                found.append(path)
    return found


def test_the_colour_files_of_pydicom_are_as_pydicom_reads_them() -> None:
    """Those too that say another photometric interpretation than they have, which pydicom warns of."""
    files = _colour_files()
    assert len(files) >= 28
    for path in files:
        dataset = pydicom.dcmread(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = pixel_array(dataset, index=0).astype(float) * 255 / ((1 << dataset.BitsStored) - 1)
        assert np.abs(np.asarray(load_image(path)) - expected).max() <= 1, path.name


def test_grey_of_any_depth_and_direction() -> None:
    ramp = np.tile(np.arange(COLUMNS) * 3, (ROWS, 1)).astype(np.uint8)
    eight = put_pixels(dermoscopic(), ramp, "MONOCHROME2")
    assert np.array_equal(shown(written(eight))[..., 0], ramp)
    eight.PhotometricInterpretation = "MONOCHROME1"
    assert np.array_equal(shown(written(eight))[..., 1], 255 - ramp)
    twelve = put_pixels(dermoscopic(), (ramp.astype(np.uint16) << 4) | (ramp >> 4), "MONOCHROME2", stored=12)
    assert np.abs(shown(written(twelve))[..., 2] - ramp).max() <= 1
    twelve.PhotometricInterpretation = "MONOCHROME1"
    assert np.abs(shown(written(twelve))[..., 2] - (255 - ramp.astype(int))).max() <= 1


@pytest.mark.parametrize(("least", "most"), [(-2048, 2047), (-100, 900), (-32768, 32767), (5, 5)])
def test_signed_grey_without_a_window_is_spread(least: int, most: int) -> None:
    grey = np.tile(np.linspace(least, most, COLUMNS).astype(np.int16), (ROWS, 1))
    made = put_pixels(dermoscopic(), grey.view(np.uint16), "MONOCHROME2")
    made.PixelRepresentation = 1
    row = shown(written(made))[0, :, 0]
    assert (row[0], row[-1]) == ((0, 255) if most > least else (0, 0))
    assert (np.diff(row.astype(int)) >= 0).all()
    assert "signed grey values without a window" in layout_of(read_header(written(made))).mended[0]
    made.PhotometricInterpretation = "MONOCHROME1"
    assert shown(written(made))[0, 0, 0] == 255


def test_which_frame_a_query_is(tmp_path: Path) -> None:
    several = put_pixels(dermoscopic(NumberOfFrames=2), np.stack([picture(), picture()[::-1]]))
    for name, data, said in (("a.dcm", written(several), "2 frames, and the first"), ("b", written(dermoscopic()), "")):
        (tmp_path / name).write_bytes(data)
        assert said in "".join(warning.message for warning in said_of_frames(UprightImage.of(tmp_path / name).frames))
    Image.fromarray(picture()).save(tmp_path / "c.png")
    assert said_of_frames(UprightImage.of(tmp_path / "c.png").frames) == ()


def test_a_window_is_applied() -> None:
    grey = np.tile(np.linspace(1000, 2000, COLUMNS).astype(np.uint16), (ROWS, 1))
    made = put_pixels(dermoscopic(), grey, "MONOCHROME2", stored=12)
    made.WindowCenter, made.WindowWidth = 1500, 1000
    row = shown(written(made))[0, :, 0]
    assert row[0] <= 1
    assert row[-1] >= 254


def test_a_colour_profile_is_applied() -> None:
    made = dermoscopic(ICCProfile=rgb_profile((SRGB[1], SRGB[0], SRGB[2])))
    pixels, swapped = picture().astype(int), shown(written(made))
    assert np.abs(swapped - pixels[..., [1, 0, 2]]).mean() < 3
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert off(written(dermoscopic(ICCProfile=srgb))) == 0


@pytest.mark.parametrize(
    ("said", "samples"), [("YBR_FULL_422", 3), ("MONOCHROME2", 3), ("RGB", 1), ("", 3), ("HSV", 3)]
)
def test_three_bytes_a_pixel_are_rgb_whatever_is_said(said: str, samples: int) -> None:
    made = dermoscopic(PhotometricInterpretation=said, SamplesPerPixel=samples)
    assert off(written(made)) == 0
    with io.BytesIO(written(made)) as stream:
        assert "read as RGB" in layout_of(read_header(stream)).mended[0]


def test_what_proves_nothing_is_refused() -> None:
    """Three samples that are called one of grey, or three frames that are not counted?"""
    with pytest.raises(ImageError, match="3 times as many"):
        load_image(written(dermoscopic(PhotometricInterpretation="MONOCHROME2", SamplesPerPixel=1)))


def test_subsampled_pixels_that_are_called_rgb() -> None:
    data = ENCODINGS["YBR_FULL_422"]().replace(b"YBR_FULL_422", b"RGB         ")
    assert off(data) < 1


@pytest.mark.parametrize("said", ["RGB", "YBR_FULL", "YBR_FULL_422"])
def test_a_jpeg_is_shown_right_whatever_is_said_of_it(said: str) -> None:
    assert off(encapsulated(jpeg(picture()), JPEGBaseline8Bit, said)) < 1


@pytest.mark.parametrize("said", ["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT"])
def test_so_is_jpeg_2000_that_was_transformed(said: str) -> None:
    made = pydicom.dcmread(io.BytesIO(ENCODINGS["JPEG 2000 lossless"]()))
    made.PhotometricInterpretation = said
    assert off(written(made)) == 0


def test_grey_jpegs_that_are_called_rgb() -> None:
    grey = Image.fromarray(picture()).convert("L")
    stream = io.BytesIO()
    grey.save(stream, "JPEG", quality=98)
    data = encapsulated(stream.getvalue(), JPEGBaseline8Bit, "RGB")
    assert off(data, np.asarray(grey.convert("RGB"))) < 1


@pytest.mark.parametrize(
    ("end", "name"),
    [
        ("4.110", "JPEG XL Lossless"),
        ("4.112", "JPEG XL"),
        ("4.100", "MPEG2"),
        ("4.102", "MPEG-4"),
        ("9.999", "1.2.840.10008.1.2.9.999"),
    ],
)
def test_what_is_not_decoded_is_refused_by_name(end: str, name: str) -> None:
    data = ENCODINGS["HTJ2K lossless"]().replace(b"1.2.840.10008.1.2.4.201", f"1.2.840.10008.1.2.{end}".encode())
    with pytest.raises(ImageError, match=name):
        load_image(data)


def test_a_jpeg_of_twelve_bits_is_refused() -> None:
    twelve = jpeg(picture()).replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc1\x00\x11\x0c")
    with pytest.raises(ImageError, match="JPEG of 12 bits"):
        load_image(encapsulated(twelve, JPEGExtended12Bit, "YBR_FULL_422", BitsAllocated=16, BitsStored=12))


def test_a_code_of_another_size_is_not_decoded() -> None:
    with pytest.raises(ImageError, match="says 80 × 60 pixels, and its code 4000 × 4000"):
        load_image(encapsulated(jpeg(np.zeros((4000, 4000, 3), np.uint8)), JPEGBaseline8Bit, "YBR_FULL_422"))


def test_a_frame_in_several_fragments() -> None:
    made = pydicom.dcmread(io.BytesIO(ENCODINGS["JPEG"]()))
    made.PixelData = encapsulate([jpeg(picture())], fragments_per_frame=3)
    assert off(written(made)) < 1


def test_its_header_is_that_of_an_image() -> None:
    assert image_header(written(dermoscopic())) == ("DICOM", (COLUMNS, ROWS))
