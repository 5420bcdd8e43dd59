"""Our filters against those of SciPy and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.measure import blur_effect

from dermquery.data.appearance import rgb_to_lab
from dermquery.data.image_filters import gaussian, moving_mean, sobel
from dermquery.data.image_quality import _blur_effect

grey = arrays(np.float64, st.tuples(st.integers(12, 60), st.integers(12, 60)), elements=st.floats(0, 1, width=32))


@settings(max_examples=50, deadline=None)
@given(grey, st.sampled_from([0.5, 1.0, 4.0, 16.0]))
def test_filters_are_those_of_scipy(image: np.ndarray, sigma: float) -> None:
    """Also where a Gaussian reaches over a small image more than once."""
    np.testing.assert_allclose(gaussian(image, sigma), ndimage.gaussian_filter(image, sigma), atol=1e-13)
    for axis in (0, 1):
        np.testing.assert_allclose(sobel(image, axis), ndimage.sobel(image, axis), atol=1e-13)
        expected = ndimage.uniform_filter1d(image, 11, axis=axis)
        np.testing.assert_allclose(moving_mean(image, 11, axis), expected, atol=1e-13)


@settings(max_examples=50, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(12, 60), st.integers(12, 60))).filter(lambda image: np.ptp(image) > 0))
def test_the_blur_effect_is_that_of_scikit_image(image: np.ndarray) -> None:
    assert _blur_effect(image / 255) == pytest.approx(float(blur_effect(image / 255)), abs=1e-8)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_photographs(name: str) -> None:
    """Golden values: what scikit-image says of photographs, to the last digits."""
    pixels = np.asarray(Image.fromarray(getattr(skimage.data, name)()).resize((256, 300)), np.float64) / 255
    luma = pixels @ np.array([0.2126, 0.7152, 0.0722])
    assert _blur_effect(luma) == pytest.approx(float(blur_effect(luma)), rel=1e-12)
    np.testing.assert_allclose(rgb_to_lab(pixels), rgb2lab(pixels), atol=1e-12)


def test_every_byte_as_lab() -> None:
    """Along the axes of the cube and its diagonal, where both branches of both curves are taken."""
    ramp = np.arange(256) / 255
    for channels in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)):
        pixels = ramp[:, None] * np.array(channels)
        np.testing.assert_allclose(rgb_to_lab(pixels), rgb2lab(pixels), atol=1e-12)
