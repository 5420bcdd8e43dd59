"""Images that were chosen for a query: whose they are, how long they stay, and how they are turned and cropped."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dermquery.data.image import ImageError, UprightImage, load_image
from dermquery.serve.uploads import ExpiredImageError, KeptImages, edited

small = partial(UprightImage.of, max_pixels=10_000)


def encoded(width: int = 60, height: int = 40, form: str = "PNG", **options: object) -> bytes:
    """An image whose every pixel differs from its neighbours."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([columns * 4 % 256, rows * 6 % 256, (rows + columns) * 2 % 256], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_image_is_its_owners_only_and_expires() -> None:
    clock = Clock()
    images = KeptImages(small, clock=clock)
    kept, image = images.keep("ann", encoded())
    assert image.size == (60, 40)
    assert images.of("ann", kept.key).data == encoded()
    with pytest.raises(ExpiredImageError):
        images.of("bob", kept.key)
    clock.now = 1799.0
    assert images.of("ann", kept.key) is kept
    clock.now = 1801.0
    with pytest.raises(ExpiredImageError):
        images.of("ann", kept.key)


def test_one_person_cannot_fill_the_memory() -> None:
    images = KeptImages(small)
    other, _ = images.keep("bob", encoded())
    kept = [images.keep("ann", encoded())[0] for _ in range(40)]
    assert images.of("ann", kept[-1].key) is kept[-1]
    assert images.of("bob", other.key) is other
    with pytest.raises(ExpiredImageError):
        images.of("ann", kept[0].key)


def test_what_is_shown_has_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x010E] = "Jane Doe"
    kept, _ = KeptImages(small).keep("ann", encoded(form="JPEG", exif=exif.tobytes()))
    assert b"Jane Doe" in kept.data
    assert b"Jane Doe" not in kept.shown


@pytest.mark.parametrize(
    ("data", "says"), [(b"", "empty"), (b"not an image", "not an image"), (encoded(200, 200), "40,000 pixels|limit")]
)
def test_a_bad_image_is_refused_with_its_reason(data: bytes, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        KeptImages(small).keep("ann", data)


def test_an_unchanged_image_is_the_file_itself() -> None:
    data = encoded(form="JPEG")
    assert edited(data, 0, None, small) is data
    assert edited(data, 4, None, small) is data


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turning_is_clockwise_and_loses_nothing(turn: int) -> None:
    turned = np.asarray(load_image(edited(encoded(), turn, None, small)))
    assert np.array_equal(turned, np.rot90(np.asarray(load_image(encoded())), -turn))


def test_the_crop_is_of_the_turned_image() -> None:
    part = load_image(edited(encoded(60, 40), 1, (0.5, 0.0, 0.5, 0.5), small))
    whole = np.rot90(np.asarray(load_image(encoded(60, 40))), -1)
    assert part.size == (20, 30)
    assert np.array_equal(np.asarray(part), whole[:30, 20:])


@given(st.tuples(*[st.floats(0, 1)] * 4), st.integers(0, 3))
def test_any_crop_leaves_an_image_that_can_be_searched(crop: tuple[float, float, float, float], turn: int) -> None:
    image = load_image(edited(encoded(), turn, crop, small))
    assert min(image.size) >= 16
