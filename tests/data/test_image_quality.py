"""Warnings about images, on rendered lesions and on the photographs that scikit-image is installed with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from scipy.spatial.distance import mahalanobis

from dermquery.data.appearance import FEATURES, appearance_features, middle, shipped_appearance
from dermquery.data.borders import remove_borders
from dermquery.data.image_quality import WARNING_KINDS, check_image
from dermquery.lab.synthetic import draw_plans, render_case
from dermquery.lab.synthetic.plan import SKIN_TYPES

N = 16


@pytest.fixture(scope="module")
def lesions() -> Sequence[Image.Image]:
    return [render_case(plan, 3, (288, 288)).image for plan in draw_plans(N, 3)]


def kinds(image: Image.Image) -> set[str]:
    return {warning.kind for warning in check_image(image)}


def rate(kind: str, images: Sequence[Image.Image]) -> float:
    return sum(kind in kinds(image) for image in images) / len(images)


def test_good_images_draw_hardly_any_warning(lesions: Sequence[Image.Image]) -> None:
    counts = Counter(kind for image in lesions for kind in kinds(image))
    assert sum(counts.values()) <= 2, counts


@pytest.mark.parametrize(("share", "least", "most"), [(0.001, 0.0, 0.1), (0.01, 0.95, 1.0), (0.03, 1.0, 1.0)])
def test_blur_is_noticed_by_its_share_of_the_image(
    lesions: Sequence[Image.Image], share: float, least: float, most: float
) -> None:
    blurred = [image.filter(ImageFilter.GaussianBlur(share * min(image.size))) for image in lesions]
    assert least <= rate("blurred", blurred) <= most


def test_blur_is_the_same_at_any_resolution(lesions: Sequence[Image.Image]) -> None:
    """A sharp photograph of many pixels and its small copy look alike to the models, and are judged alike."""
    for image in lesions[:6]:
        large = image.resize((864, 864), Image.Resampling.LANCZOS)
        assert ("blurred" in kinds(large)) == ("blurred" in kinds(image))
    assert rate("blurred", [image.resize((224, 224), Image.Resampling.LANCZOS) for image in lesions]) == 0


@pytest.mark.parametrize(
    ("kind", "factor"), [("too dark", 0.2), ("too dark", 0.1), ("too bright", 3), ("too bright", 5)]
)
def test_exposure(lesions: Sequence[Image.Image], kind: str, factor: float) -> None:
    assert rate(kind, [ImageEnhance.Brightness(image).enhance(factor) for image in lesions]) >= 0.9
    assert rate(kind, lesions) <= 0.05


def test_dark_skin_is_no_bad_exposure() -> None:
    """Of the darkest Fitzpatrick types, rendered at both ends of their ranges."""
    for name in ("V", "VI"):
        plans = [replace(plan, skin_angle=angle) for plan in draw_plans(5, 8) for angle in SKIN_TYPES[name][1:]]
        images = [render_case(plan, 8, (224, 224)).image for plan in plans]
        assert rate("too dark", images) == 0, name
        assert rate("low contrast", images) <= 0.1, name
        assert rate("not dermoscopy", images) <= 0.1, name


def test_low_contrast_and_too_few_pixels(lesions: Sequence[Image.Image]) -> None:
    assert rate("low contrast", [ImageEnhance.Contrast(image).enhance(0.15) for image in lesions]) == 1
    assert rate("too small", [image.resize((199, 240)) for image in lesions]) == 1
    unframed = [image for image in (image.resize((200, 240)) for image in lesions) if remove_borders(image) is image]
    assert len(unframed) > N / 2
    assert rate("too small", unframed) == 0


def test_a_frame_does_not_count_as_pixels_nor_as_darkness(lesions: Sequence[Image.Image]) -> None:
    framed = Image.new("RGB", (420, 420), (3, 3, 3))
    framed.paste(lesions[0].resize((260, 260)), (80, 80))
    assert not kinds(framed) & {"too dark", "too small"}
    framed.paste((3, 3, 3), (0, 0, 420, 420))
    framed.paste(lesions[0].resize((180, 180)), (120, 120))
    assert "too small" in kinds(framed)


def test_photographs_text_and_drawings_are_no_dermoscopy() -> None:
    names = ("astronaut", "coffee", "chelsea", "rocket", "page", "text", "camera", "coins", "clock", "logo", "horse")
    pictures = [Image.fromarray(np.asarray(getattr(skimage.data, name)())).convert("RGB") for name in names]
    assert rate("not dermoscopy", pictures) >= 0.8
    screen = Image.new("RGB", (640, 400), "white")
    for line in range(20):
        ImageDraw.Draw(screen).text((20, 18 * line + 10), "The quick brown fox jumps over the lazy dog. " * 3, "black")
    assert "not dermoscopy" in kinds(screen)


def test_messages_name_the_remedy_and_numbers_stand_beside_them(lesions: Sequence[Image.Image]) -> None:
    dark = ImageEnhance.Brightness(lesions[0].resize((150, 150))).enhance(0.1)
    found = check_image(dark)
    assert [w.kind for w in found] == [kind for kind in WARNING_KINDS if kind in {w.kind for w in found}]
    small = found[0]
    assert small.to_dict() == {"kind": "too small", "message": small.message, "value": 150.0, "threshold": 200.0}
    assert "150 × 150" in small.message
    assert all(w.message.endswith(".") for w in found)


@settings(max_examples=25)
@given(
    arrays(np.uint8, st.tuples(st.integers(16, 40), st.integers(16, 40), st.just(3))),
    st.sampled_from([(1, 1), (1, 30), (30, 1), (7, 7)]),
)
def test_any_pixels_give_finite_numbers(pixels: np.ndarray, repeats: tuple[int, int]) -> None:
    image = Image.fromarray(pixels.repeat(repeats[0], axis=0).repeat(repeats[1], axis=1))
    assert np.isfinite(appearance_features(image)).all()
    for warning in check_image(image):
        assert np.isfinite([warning.value, warning.threshold]).all()


@pytest.mark.parametrize("colour", ["black", "white", (200, 150, 130)])
def test_plain_images(colour: str | tuple[int, int, int]) -> None:
    assert "low contrast" in kinds(Image.new("RGB", (300, 300), colour))


def test_a_long_strip_is_judged_by_its_middle() -> None:
    strip = Image.new("RGB", (30_000, 16), (190, 140, 120))
    assert middle(strip).size == (48, 16)
    assert "too small" in kinds(strip)


def test_turning_an_image_changes_little(lesions: Sequence[Image.Image]) -> None:
    for image in lesions[:4]:
        turned = image.transpose(Image.Transpose.ROTATE_90)
        apart = appearance_features(image) - appearance_features(turned)
        assert (np.abs(apart) < 0.05 * np.array(shipped_appearance().scale)).all(), "up to rounding when it is resized"


def test_the_distance_is_that_of_mahalanobis(lesions: Sequence[Image.Image]) -> None:
    shipped = shipped_appearance()
    assert shipped.features == FEATURES
    features = np.stack([appearance_features(image) for image in lesions[:5]])
    scale = np.array(shipped.scale)
    precision = np.array(shipped.precision) / np.outer(scale, scale)
    expected = [mahalanobis(row, shipped.mean, precision) for row in features]
    np.testing.assert_allclose(shipped.measures(features)[0], expected, rtol=1e-6)
    assert (np.linalg.eigvalsh(np.array(shipped.precision)) > 0).all()


def test_features_against_plain_definitions() -> None:
    """A left half of one grey and a right half of another: what each number must be can be worked out by hand."""
    image = Image.new("RGB", (128, 128), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 64, 128))
    named = dict(zip(FEATURES, appearance_features(image), strict=True))
    assert named["mean L"] == pytest.approx(50, abs=0.01)
    assert named["deviation L"] == pytest.approx(50, abs=0.01)
    assert named["mean chroma"] == pytest.approx(0, abs=0.01)
    assert named["centre minus rim L"] == pytest.approx(0, abs=0.01)
    assert named["percentile 2 L"] == pytest.approx(0, abs=0.01)
    assert named["percentile 98 L"] == pytest.approx(100, abs=0.01)
    assert named["deviation in blocks"] == 0
    assert named["strong edges"] == pytest.approx(2 / 128)
    assert sum(10 ** named[f"energy of octave {i}"] for i in range(6)) == pytest.approx(1)
