from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.data.colour_profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    PRO_PHOTO,
    SRGB,
    grey_for_all_inks,
    in_srgb,
    rgb_profile,
)
from tests.data.colour_profiles import profile as profile_of
from tests.data.test_image import SKIN, encoded, pixels

SPACES = {"AdobeRGB": (ADOBE_RGB, 563 / 256), "P3, power 2.2": (DISPLAY_P3, 2.2), "linear": (SRGB, 1.0)}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("space", SPACES)
def test_an_rgb_profile_is_applied(kind: str, space: str) -> None:
    primaries, gamma = SPACES[space]
    options: dict[str, object] = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    options |= {"lossless": True} if kind == "WEBP" else {}
    got = pixels(encoded(SKIN, kind, icc_profile=rgb_profile(primaries, gamma), **options))
    expected = in_srgb(np.asarray(SKIN), primaries, gamma)
    assert np.abs(expected - np.asarray(SKIN)).mean() > 2, "the profile matters"
    assert np.abs(got - expected).mean() < 1.5


def test_a_wide_profile_is_applied_and_its_white_adapted() -> None:
    d50 = (0.3457, 0.3585)
    got = pixels(encoded(SKIN, "PNG", icc_profile=rgb_profile(PRO_PHOTO, 1.8, white=d50)))
    expected = in_srgb(np.asarray(SKIN), PRO_PHOTO, 1.8, white=d50)
    assert np.abs(got - expected).mean() < 1.5
    assert (
        pixels(encoded(Image.new("RGB", (32, 32), "white"), "PNG", icc_profile=rgb_profile(PRO_PHOTO, 1.8, white=d50)))
        >= 254
    ).all()


@pytest.mark.parametrize("mode", ["RGBA", "P", "L"])
def test_other_modes_go_through_their_profile_too(mode: str) -> None:
    profile = rgb_profile(ADOBE_RGB)
    image = SKIN.quantize(64) if mode == "P" else SKIN.convert(mode)
    plain = np.asarray(image.convert("RGB"))
    if mode == "RGBA":
        image.putpixel((0, 0), (0, 0, 0, 0))
    if mode == "L":
        curve = b"curv" + bytes(4) + struct.pack(">IH", 1, 256) + bytes(2)
        xyz = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
        profile = profile_of(b"GRAY", [(b"wtpt", xyz), (b"kTRC", curve)])
        expected = in_srgb(plain, SRGB, 1.0)
    else:
        expected = in_srgb(plain, ADOBE_RGB, 563 / 256)
    got = pixels(encoded(image, "PNG", icc_profile=profile)).astype(int)
    assert np.abs(got - expected)[1:].mean() < 1.5
    assert mode != "RGBA" or (got[0, 0] == 255).all()


def test_srgb_and_unusable_profiles_change_nothing() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"no profile", rgb_profile(ADOBE_RGB)[:200], grey_for_all_inks()):
        np.testing.assert_array_equal(pixels(encoded(SKIN, "PNG", icc_profile=profile)), np.asarray(SKIN))


def test_plain_cmyk() -> None:
    cmyk = Image.new("CMYK", (32, 32), (0, 128, 255, 0))
    for kind in ("JPEG", "TIFF"):
        assert np.abs(pixels(encoded(cmyk, kind)).astype(int) - (255, 127, 0)).max() <= 3


def test_cmyk_goes_through_its_embedded_profile() -> None:
    cmyk = Image.new("CMYK", (32, 32), (0, 128, 255, 0))
    for kind in ("JPEG", "TIFF"):
        got = pixels(encoded(cmyk, kind, icc_profile=grey_for_all_inks()))
        assert np.abs(got.astype(int) - 119).max() <= 2


def test_a_profile_of_another_colour_space_is_ignored() -> None:
    cmyk = Image.new("CMYK", (32, 32), (0, 128, 255, 0))
    wrong = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (wrong, b"not a profile"):
        got = pixels(encoded(cmyk, "TIFF", icc_profile=profile))
        assert np.abs(got.astype(int) - (255, 127, 0)).max() <= 3


def test_lab_is_converted() -> None:
    """L* 53.2, a* 80.1, b* 67.2 is sRGB red; Pillow holds L* scaled to 0-255, and a*, b* plus 128."""
    red = Image.merge("LAB", [Image.new("L", (32, 32), v) for v in (136, 80 + 128, 67 + 128)])
    assert np.abs(pixels(encoded(red, "TIFF")).astype(int) - (255, 0, 0)).max() <= 12
