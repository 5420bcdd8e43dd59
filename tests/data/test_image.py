from __future__ import annotations

import io
import os
import pickle
import random
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from PIL.Image import Transpose

from dermquery.data import borders
from dermquery.data.image import ImageError, ImageSource, UprightImage, load_image
from tests.data.colour_profiles import ADOBE_RGB, rgb_profile
from tests.data.made_up import Pixels, skin

SKIN = Image.fromarray(skin(96, 64))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels(source: ImageSource) -> Pixels:
    image = load_image(source)
    assert image.mode == "RGB"
    assert image.info == {}
    return np.asarray(image)


def refusal(source: ImageSource, **limits: Any) -> str:
    with pytest.raises(ImageError) as caught:
        load_image(source, **limits)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
def test_lossless_formats_keep_their_pixels(kind: str) -> None:
    original = SKIN.convert("P").convert("RGB") if kind == "GIF" else SKIN
    np.testing.assert_array_equal(pixels(encoded(original, kind)), np.asarray(original))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("WEBP", {"quality": 95}),
        ("JPEG2000", {}),
        ("MPO", {"save_all": True, "quality": 95}),
    ],
)
def test_lossy_formats_come_close(kind: str, options: dict[str, object]) -> None:
    error = np.abs(pixels(encoded(SKIN, kind, **options)).astype(int) - np.asarray(SKIN))
    assert error.mean() < 6


def test_every_way_to_pass_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    SKIN.save(path)
    stream = io.BytesIO(path.read_bytes())
    stream.seek(7)
    with path.open("rb") as file:
        for source in (path, str(path), path.read_bytes(), SKIN, np.asarray(SKIN), stream, file):
            np.testing.assert_array_equal(pixels(source), np.asarray(SKIN))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (np.asarray(SKIN) / 255, r"an array of float64 and shape \(64, 96, 3\); give uint8 of 0 to 255, \(H, W, 3\)"),
        (np.zeros((3, 64, 64), np.uint8), r"shape \(3, 64, 64\); give uint8"),
        (io.StringIO("text"), "open as text; open it with 'rb'"),
        (42, "a int is no image; give a path, its bytes, an open file, an array or a PIL image"),
        (None, "a NoneType is no image"),
        ("", "an empty path names no image"),
    ],
)
def test_what_is_passed_for_an_image_but_is_none(source: Any, expected: str) -> None:
    with pytest.raises(ImageError, match=expected):
        load_image(source)


def test_a_jpeg_that_somebody_opened_can_be_read_more_than_once(tmp_path: Path) -> None:
    Image.fromarray(skin(96, 64)).save(tmp_path / "skin.jpg", progressive=True)
    expected = load_image(tmp_path / "skin.jpg").tobytes()
    opened = Image.open(tmp_path / "skin.jpg")
    assert [load_image(opened).tobytes(), load_image(opened).tobytes()] == [expected] * 2


def test_messages_call_an_image_by_its_name(tmp_path: Path) -> None:
    broken = encoded(SKIN, "JPEG")[:300]
    assert refusal(broken).startswith("the image: damaged")
    with pytest.raises(ImageError, match=r"^left arm\.jpg: damaged"):
        load_image(broken, name="left arm.jpg")
    (tmp_path / "a.jpg").write_bytes(broken)
    with (tmp_path / "a.jpg").open("rb") as file, pytest.raises(ImageError, match=f"^{tmp_path / 'a.jpg'}: damaged"):
        load_image(file)


def test_the_source_is_left_as_it_is() -> None:
    image = SKIN.copy()
    image.info["note"] = "mine"
    made = load_image(image)
    made.putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) != (1, 2, 3)
    assert image.info == {"note": "mine"}


def test_content_decides_the_format(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(SKIN, "PNG"))
    np.testing.assert_array_equal(pixels(path), np.asarray(SKIN))


# What EXIF says of where the stored picture's first row and column are, and what turns the upright one into that.
STORED_AS = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", STORED_AS)
def test_exif_orientation(kind: str, orientation: int) -> None:
    turn = STORED_AS[orientation]
    stored = SKIN.copy() if turn is None else SKIN.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = load_image(encoded(stored, kind, exif=exif))
    np.testing.assert_array_equal(np.asarray(upright), np.asarray(SKIN))
    np.testing.assert_array_equal(pixels(upright), np.asarray(SKIN), "a loaded image must not turn a second time")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_is_no_reason_to_refuse() -> None:
    data = encoded(SKIN, "JPEG", quality=95, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\xff\xff broken")
    assert pixels(data).shape == (64, 96, 3)


def _thrice(grey: Image.Image) -> Pixels:
    return np.dstack([np.asarray(grey)] * 3)


def test_grey_and_bilevel() -> None:
    grey = SKIN.convert("L")
    np.testing.assert_array_equal(pixels(encoded(grey, "PNG")), _thrice(grey))
    np.testing.assert_array_equal(pixels(encoded(grey.convert("1"), "PNG")), _thrice(grey.convert("1").convert("L")))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([[0, 257, 32768, 65535]], np.uint16), "PNG"),
        (np.array([[0, 257, 32768, 65535]], np.uint16), "TIFF"),
        (np.array([[0, 257, 32768, 65535]], np.int32), "TIFF"),
        (np.array([[0, 1 / 255, 32768 / 65535, 1]], np.float32), "TIFF"),
        (np.array([[0, 1, 127.502, 255]], np.float32), "TIFF"),
        (np.array([[0, 1, 127, 255]], np.int32), "TIFF"),
    ],
)
def test_deep_grey_is_scaled_and_not_clipped(values: np.ndarray, kind: str) -> None:
    image = Image.fromarray(np.repeat(np.repeat(values, 16, 0), 16, 1))
    got = pixels(encoded(image, kind))[0, ::16]
    expected = [0, 1, 127 if values.dtype == np.int32 and values.max() == 255 else 128, 255]
    assert got.tolist() == [[v, v, v] for v in expected]


def test_dark_16_bit_stays_dark() -> None:
    """A 12-bit camera in a 16-bit file: its file does not say so, hence nothing is stretched."""
    image = Image.fromarray(np.full((32, 32), 4095, np.uint16))
    assert pixels(encoded(image, "PNG")).max() == round(4095 / 257)


@pytest.mark.parametrize("values", [[-1.0, 5.0], [0.0, 1e9], [0.0, float("nan")], [0.0, float("inf")]])
def test_grey_without_a_known_scale_is_refused(values: list[float]) -> None:
    image = Image.fromarray(np.resize(np.array(values, np.float32), (32, 32)))
    assert "no known scale" in refusal(encoded(image, "TIFF"))


def test_16_bit_colour(tmp_path: Path) -> None:
    deep = (np.asarray(SKIN).astype(">u2") * 257).tobytes()
    rows = b"".join(b"\0" + deep[i : i + 96 * 6] for i in range(0, len(deep), 96 * 6))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 96, 64, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(pixels(data), np.asarray(SKIN))


def test_transparency_is_laid_on_white() -> None:
    rgba = SKIN.convert("RGBA")
    alpha = np.full((64, 96), 255, np.uint8)
    alpha[:, :32], alpha[:, 32:64] = 0, 128
    rgba.putalpha(Image.fromarray(alpha))
    got = pixels(encoded(rgba, "PNG")).astype(int)
    original = np.asarray(SKIN).astype(int)
    assert (got[:, :32] == 255).all()
    assert np.abs(got[:, 32:64] - (original[:, 32:64] * 128 + 255 * 127) / 255).max() <= 1
    np.testing.assert_array_equal(got[:, 64:], original[:, 64:])


def test_transparency_of_grey_and_of_palettes() -> None:
    grey = Image.new("LA", (32, 32), (10, 0))
    grey.putpixel((0, 0), (10, 255))
    got = pixels(encoded(grey, "PNG"))
    assert ((got == 255).sum(), got[0, 0].tolist()) == (32 * 32 * 3 - 3, [10, 10, 10])
    palette = Image.new("P", (32, 32), 3)
    palette.putpalette([7, 7, 7] * 256)
    palette.putpixel((0, 0), 4)
    assert (pixels(encoded(palette, "PNG", transparency=3))[1:] == 255).all()
    assert (pixels(encoded(palette, "PNG")) == 7).all()
    keyed = Image.new("RGB", (32, 32), (1, 2, 3))
    keyed.putpixel((0, 0), (9, 9, 9))
    assert (pixels(encoded(keyed, "PNG", transparency=(1, 2, 3)))[1:] == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP"])
def test_transparency_that_was_never_filled_in_hides_nothing(kind: str) -> None:
    rgba = SKIN.convert("RGBA")
    rgba.putalpha(0)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(pixels(encoded(rgba, kind, **options)), np.asarray(SKIN))
    blank = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    assert kind == "BMP" or "every pixel is transparent" in refusal(encoded(blank, kind))


def test_ycbcr() -> None:
    got = pixels(SKIN.convert("YCbCr")).astype(int)
    assert np.abs(got - np.asarray(SKIN)).max() <= 3


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF"])
def test_the_first_frame_of_several(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert (pixels(data) == (255, 0, 0)).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000"])
def test_truncated(tmp_path: Path, kind: str) -> None:
    data = encoded(SKIN, kind)
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[: len(data) // 2])
    assert str(path) in refusal(path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000"])
def test_damaged_bytes_give_an_image_or_image_error(kind: str) -> None:
    rng = random.Random(kind)  # noqa: S311  # a repeatable choice, no secret
    data = encoded(SKIN, kind)
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 12)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        try:
            assert load_image(bytes(broken), max_pixels=1_000_000).mode == "RGB"
        except ImageError:
            continue


def test_too_small() -> None:
    assert "1 × 1 pixels are too few" in refusal(encoded(Image.new("RGB", (1, 1)), "PNG"))
    assert "at least 16" in refusal(encoded(Image.new("RGB", (400, 15)), "PNG"))
    assert load_image(Image.new("RGB", (1, 1)), min_side=1).size == (1, 1)


def test_a_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    """The header claims 20,000 × 20,000 pixels; there are none, so decoding would fail in another way."""
    data = bytearray(encoded(Image.new("RGB", (16, 16)), "BMP"))
    data[18:26] = (20_000).to_bytes(4, "little") * 2
    path = tmp_path / "bomb.bmp"
    path.write_bytes(data)
    text = refusal(path)
    assert str(path) in text
    assert "pixels" in text


def test_limits_are_those_asked_for() -> None:
    data = encoded(SKIN, "PNG")
    assert "96 × 64 pixels are more than the limit of 6,000" in refusal(data, max_pixels=6_000)
    assert load_image(data, max_pixels=96 * 64).size == (96, 64)
    assert "more than the limit" in refusal(SKIN, max_pixels=10)


@pytest.mark.parametrize("length", [900_000, 1_400_000, 80_000_000])
@pytest.mark.parametrize("chunk", ["zTXt", "iTXt", "tEXt", "iCCP"])
def test_a_png_with_much_beside_its_pixels(length: int, chunk: str) -> None:
    """Eighty megabytes are a bomb, which is not unpacked: the pixels do not need it."""
    info, options = PngImagePlugin.PngInfo(), dict[str, object]()
    words = "a " * (length // 2)
    if chunk == "iCCP":
        options["icc_profile"] = bytes(length)
    elif chunk == "iTXt":
        info.add_itxt("XML:com.adobe.xmp", words, zip=True)
    else:
        info.add_text("note", words, zip=chunk == "zTXt")
    data = encoded(SKIN, "PNG", pnginfo=info, **options)
    np.testing.assert_array_equal(pixels(data), np.asarray(SKIN))
    assert "damaged or cut off" in refusal(data[:-200])


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("orientation", [3, 6])
def test_what_stands_beside_much_text_still_counts(zipped: bool, orientation: int) -> None:
    info = PngImagePlugin.PngInfo()
    xmp = f'<x tiff:Orientation="{orientation}"/>' + " " * 1_400_000
    info.add_itxt("XML:com.adobe.xmp", xmp, zip=zipped)
    info.add_text("note", "a" * 2_000_000, zip=True)
    turned = SKIN.transpose(STORED_AS[orientation] or Transpose.ROTATE_180)
    profile = rgb_profile(ADOBE_RGB) + bytes(1_500_000)
    expected = pixels(encoded(SKIN, "PNG", icc_profile=rgb_profile(ADOBE_RGB)))
    np.testing.assert_array_equal(pixels(encoded(turned, "PNG", pnginfo=info, icc_profile=profile)), expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"hello", "not an image"),
        (b"\0" * 128 + b"DICM" + b"\0" * 99, "DICOM"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 99, "HEIC"),
        (b"\0\0\0\x18ftypavif" + b"\0" * 99, "AVIF"),
        (b"II+\0\x08\0\0\0" + b"\0" * 99, "BigTIFF"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<svg xmlns=''></svg>", "SVG"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
    ],
)
def test_what_is_no_image(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "thing.jpg"
    path.write_bytes(content)
    text = refusal(path)
    assert str(path) in text
    assert expected in text


def test_formats_that_are_not_allowed() -> None:
    assert "not an image" in refusal(encoded(SKIN, "PPM"))


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    assert "no such image file" in refusal(tmp_path / "none.jpg")
    assert "a folder" in refusal(tmp_path)
    assert "no such image file" in refusal("https://example.org/a.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "no such image file" in refusal(tmp_path / "pipe.jpg")


def test_threads() -> None:
    sources = [encoded(Image.new("RGB", (64, 64), (i, i, i)), "PNG") for i in range(40)]
    broken = encoded(SKIN, "JPEG")[:300]
    failures: list[str] = []

    def disturb() -> None:
        failures.extend(refusal(broken) for _ in range(40))

    thread = threading.Thread(target=disturb)
    thread.start()
    with ThreadPoolExecutor(4) as pool:
        got = [int(p[0, 0, 0]) for p in pool.map(pixels, sources)]
    thread.join()
    assert got == list(range(40))
    assert len(failures) == 40


def test_a_decoded_image_is_copied_once_and_left_as_it_is() -> None:
    given = Image.new("RGB", (40, 30), "red")
    given.info["note"] = "kept"
    loaded = load_image(given)
    loaded.putpixel((0, 0), (0, 0, 255))
    assert given.getpixel((0, 0)) == (255, 0, 0)
    assert given.info == {"note": "kept"}
    assert loaded.info == {}


def test_an_upright_image_is_decoded_and_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    framed = Image.new("RGB", (300, 300), "black")
    framed.paste((200, 150, 140), (40, 40, 260, 260))
    buffer, searched = io.BytesIO(), list[Image.Image]()
    framed.save(buffer, "PNG")
    search = borders._search

    def counted(image: Image.Image) -> tuple[int, int, int, int]:
        searched.append(image)
        return search(image)

    monkeypatch.setattr(borders, "_search", counted)
    image = UprightImage.of(buffer.getvalue())
    assert UprightImage.of(image) is load_image(image) is image
    assert image.tobytes() == load_image(buffer.getvalue()).tobytes()
    cropped = borders.remove_borders(image)
    assert cropped.size == borders.remove_borders(image).size
    assert borders.visible_box(image) == search(framed)
    assert len(searched) == 1
    assert not isinstance(cropped, UprightImage), "a part of it has a box of its own"
    assert UprightImage.of(cropped).visible_box is None
    assert pickle.loads(pickle.dumps(image)).tobytes() == image.tobytes()  # noqa: S301 - our own bytes


def test_an_upright_image_is_refused_like_any_other() -> None:
    with pytest.raises(ImageError, match="more than the limit of 100"):
        UprightImage.of(Image.new("RGB", (20, 20)), max_pixels=100)


@pytest.mark.parametrize(
    ("size", "expected"), [((4032, 3024), (1008, 756)), ((2000, 1400), (1000, 700)), ((900, 700), (900, 700))]
)
def test_a_large_jpeg_is_decoded_at_a_reduced_scale(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    coarse = Image.fromarray(np.random.default_rng(1).integers(0, 255, (9, 12, 3), dtype=np.uint8))
    photograph, lossless = coarse.resize(size, Image.Resampling.BICUBIC), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph.save(tmp_path / "plain.jpg", quality=95)
    photograph.save(tmp_path / "turned.jpg", quality=95, exif=exif)
    photograph.save(lossless, "PNG")
    found = load_image(tmp_path / "plain.jpg", least_side=700)
    assert found.size == expected
    assert load_image(tmp_path / "turned.jpg", least_side=700).size == expected[::-1]
    assert load_image(tmp_path / "plain.jpg").size == load_image(lossless.getvalue(), least_side=700).size == size
    difference = np.asarray(found, float) - np.asarray(photograph.resize(expected, Image.Resampling.BOX), float)
    assert np.abs(difference).mean() < 2
    with pytest.raises(ImageError, match="more than the limit"):
        load_image(tmp_path / "plain.jpg", least_side=700, max_pixels=size[0] * size[1] - 1)
