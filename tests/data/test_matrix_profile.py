"""Pictures whose colours a PNG gives by chunks of numbers."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, ImageCms

from dermquery.data.matrix_profile import implied_profile
from tests.data.colour_profiles import ADOBE_RGB, D65, DISPLAY_P3, PRO_PHOTO, SRGB, Chromaticity, in_srgb, rgb_profile
from tests.data.test_image import SKIN, encoded, pixels

D50 = (0.3457, 0.3585)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def gama(power: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(power * 100000)))


def chrm(primaries: Sequence[Chromaticity], white: Chromaticity = D65) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(v * 100000) for xy in (white, *primaries) for v in xy)))


def png(image: Image.Image, *chunks: bytes, profile: bytes | None = None) -> bytes:
    """A PNG with further chunks behind its header."""
    data = encoded(image, "PNG", icc_profile=profile) if profile else encoded(image, "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


@pytest.mark.parametrize(
    ("primaries", "power", "white"),
    [
        (SRGB, 1.0, D65),
        (SRGB, 1 / 1.8, D65),
        (ADOBE_RGB, 256 / 563, D65),
        (DISPLAY_P3, 1 / 2.2, D65),
        (PRO_PHOTO, 1 / 1.8, D50),
    ],
)
def test_power_and_primaries_are_applied(primaries: Sequence[Chromaticity], power: float, white: Chromaticity) -> None:
    got = pixels(png(SKIN, gama(power), chrm(primaries, white)))
    expected = in_srgb(np.asarray(SKIN), primaries, 1 / power, white)
    assert np.abs(expected - np.asarray(SKIN)).mean() > 2, "the chunks matter"
    assert np.abs(got - expected).mean() < 0.75
    assert (pixels(png(Image.new("RGB", (32, 32), "white"), gama(power), chrm(primaries, white))) >= 254).all()


def test_linear_values_without_primaries_are_of_srgb() -> None:
    light = np.asarray(SKIN) / 255.0
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    linear = Image.fromarray(np.rint(light * 255).astype(np.uint8))
    assert np.abs(np.asarray(linear).astype(int) - np.asarray(SKIN)).mean() > 40
    assert np.abs(pixels(png(linear, gama(1.0))).astype(int) - np.asarray(SKIN)).mean() < 1


def test_primaries_without_a_power_have_the_curve_of_srgb() -> None:
    got = pixels(png(SKIN, chrm(DISPLAY_P3)))
    p3 = rgb_profile(DISPLAY_P3, 2.2)
    assert np.abs(got.astype(int) - pixels(png(SKIN, profile=p3))).mean() < 3
    grey = Image.new("RGB", (32, 32), (90, 90, 90))
    assert np.abs(pixels(png(grey, chrm(DISPLAY_P3))).astype(int) - 90).max() <= 1


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "I;16"])
def test_other_modes_have_a_power_too(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.asarray(SKIN.convert("L")).astype(np.uint16) * 257)
        plain = np.asarray(SKIN.convert("L").convert("RGB"))
    else:
        image = SKIN.quantize(64) if mode == "P" else SKIN.convert(mode)
        plain = np.asarray(image.convert("RGB"))
    got = pixels(png(image, gama(1.0), chrm(SRGB)))
    assert np.abs(got - in_srgb(plain, SRGB, 1.0)).mean() < 0.75


@pytest.mark.parametrize(
    "chunks",
    [
        [gama(0.45455)],
        [gama(0.45455), chrm(SRGB)],
        [gama(0.45), chrm([(0.63999, 0.33001), (0.3, 0.6), (0.15, 0.05999)])],
        [chrm(SRGB)],
        [gama(1.0), chrm(ADOBE_RGB), chunk(b"sRGB", b"\0")],
        [gama(0)],
        [gama(2.2)],
        [gama(0.001)],
        [gama(42949)],
        [chrm([(0, 0), (0, 0), (0, 0)], (0, 0))],
        [chrm([(0.3, 0.3), (0.3, 0.3), (0.3, 0.3)])],
        [chrm([(0.1, 0.1), (0.2, 0.2), (0.3, 0.3)])],
        [chrm([(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)], (0.7, 0.29))],
        [chrm([(40000, 1), (1, 40000), (0.15, 0.06)])],
        [chrm([(0.9, 0.9), (0.30, 0.60), (0.15, 0.06)])],
    ],
)
def test_srgb_and_senseless_numbers_change_nothing(chunks: list[bytes]) -> None:
    np.testing.assert_array_equal(pixels(png(SKIN, *chunks)), np.asarray(SKIN))


def test_a_profile_goes_before_the_numbers() -> None:
    profile = rgb_profile(ADOBE_RGB)
    alone = pixels(png(SKIN, profile=profile))
    np.testing.assert_array_equal(pixels(png(SKIN, gama(1.0), chrm(PRO_PHOTO), profile=profile)), alone)
    np.testing.assert_array_equal(pixels(png(SKIN, gama(1.0), profile=b"no profile")), np.asarray(SKIN))


def test_the_profile_is_one_that_others_read() -> None:
    for grey in (False, True):
        data = implied_profile({"gamma": 1.0, "chromaticity": (*D50, *np.ravel(ADOBE_RGB))}, grey=grey)
        assert data is not None
        assert struct.unpack(">I", data[:4]) == (len(data),)
        read = ImageCms.ImageCmsProfile(io.BytesIO(data)).profile
        assert (read.version, read.device_class, read.connection_space) == (2.1, "mntr", "XYZ ")
        assert (read.xcolor_space.strip(), read.profile_description) == ("GRAY" if grey else "RGB", "of PNG")
    strange = {"gamma": "1.0", "chromaticity": "white"}
    assert implied_profile(strange, grey=False) is None
