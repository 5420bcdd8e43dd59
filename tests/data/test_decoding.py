"""Generated files of every layout against what other decoders make of them: decoded right, or refused.

``tifffile`` writes and reads the TIFFs, ``pypng`` the PNGs; neither uses a line of Pillow. Bitmaps are written by hand,
as their format is a few lines. The HEIC files were encoded once, by x265, from :func:`tests.data.made_up.skin`.
"""

from __future__ import annotations

import io
import itertools
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import png
import pytest
import tifffile
from PIL import Image

from dermquery.data.image import ImageError, load_image
from tests.data.colour_profiles import DISPLAY_P3, in_srgb
from tests.data.made_up import skin

HEIGHT, WIDTH = 24, 32
_RNG = np.random.default_rng(0)
COLOURS = np.clip(np.cumsum(_RNG.normal(0, 0.06, (HEIGHT, WIDTH, 3)), axis=1) + 0.5, 0.02, 0.98)
"""Red, green and blue from 0 to 1."""
ALPHAS = {
    "opaque": np.ones((HEIGHT, WIDTH)),
    "never filled in": np.zeros((HEIGHT, WIDTH)),
    "a ramp": np.tile(np.linspace(0.25, 1, WIDTH), (HEIGHT, 1)),
}


def on_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours (h, w, 1 or 3) from 0 to 1 behind alpha (h, w), as RGB from 0 to 255; an alpha of zeros hides nothing."""
    cover = alpha[..., None] if alpha.any() else 1.0
    return np.broadcast_to((colours * cover + 1 - cover) * 255, (*alpha.shape, 3))


def judged(data: bytes, expected: np.ndarray, tolerance: float) -> str:
    try:
        got = np.asarray(load_image(data)).astype(float)
    except ImageError:
        return "refused"
    difference = np.abs(got - expected)
    return "right" if difference.mean() < 1 and difference.max() <= tolerance else "wrong"


# --- TIFF ------------------------------------------------------------------------------------------------------------

_TYPES = {"u1": 255, "u2": 65535, "i1": 127, "i2": 32767, "u4": 2**32 - 1, "f4": 1}
_EXTRA = (None, "unassalpha", "assocalpha", "unspecified")


def tiffs() -> Iterator[tuple[str, bytes, np.ndarray | None]]:
    """Label, file, and its picture by ``tifffile``; None where the file does not say what it shows."""
    kinds = itertools.product(
        ("minisblack", "miniswhite", "rgb"), _TYPES, ("contig", "separate"), "<>", (None, "zlib"), _EXTRA, ALPHAS
    )
    for photometric, kind, planes, order, packed, extra, alpha in kinds:
        colours = COLOURS if photometric == "rgb" else COLOURS[..., :1]
        if (extra is None and alpha != "opaque") or (planes == "separate" and colours.shape[2] == 1 and not extra):
            continue
        values = 1 - colours if photometric == "miniswhite" else colours
        if extra:
            shown = values * ALPHAS[alpha][..., None] if extra == "assocalpha" else values
            values = np.dstack([shown, ALPHAS[alpha]])
        values = values * _TYPES[kind]
        array = (values if kind == "f4" else np.rint(values)).astype(order + kind)
        array = array[..., 0] if array.shape[2] == 1 else np.moveaxis(array, 2, 0) if planes == "separate" else array
        stream = io.BytesIO()
        tifffile.imwrite(
            stream, array, photometric=photometric, byteorder=order, compression=packed,
            planarconfig=planes if array.ndim == 3 else None, extrasamples=[extra] if extra else None, metadata=None,
        )  # fmt: skip
        label = f"{photometric} {kind} {planes} {order} {packed} {extra} {alpha}"
        yield label, stream.getvalue(), None if kind[0] == "i" else _by_tifffile(stream.getvalue())


def _by_tifffile(data: bytes) -> np.ndarray:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        values, kinds = page.asarray().astype(float), page.extrasamples
        top = 1.0 if page.dtype is not None and page.dtype.kind == "f" else float(np.iinfo(page.dtype).max)
    if values.ndim == 2:
        values = values[..., None]
    elif values.shape[0] < 5:
        values = np.moveaxis(values, 0, 2)
    values /= top
    alpha = values[..., -1] if kinds and kinds[0] else ALPHAS["opaque"]
    values = values[..., :-1] if kinds else values
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        values = 1 - values
    if kinds and kinds[0] == tifffile.EXTRASAMPLE.ASSOCALPHA and alpha.any():
        values = values / alpha[..., None]
    return on_white(values, alpha)


def test_every_tiff_is_decoded_right_or_refused() -> None:
    found: dict[str, str] = {}
    for label, data, expected in tiffs():
        if expected is None:
            found[label] = judged(data, np.full((HEIGHT, WIDTH, 3), np.nan), 0)
        else:
            found[label] = judged(data, expected, 6 if "assocalpha a ramp" in label else 2)
    counts = Counter(found.values())
    assert [label for label, verdict in found.items() if verdict == "wrong"] == []
    assert len(found) > 1300
    assert counts["right"] >= 140
    usual = {
        f"{colours} {kind} contig {order} {packed} None opaque"
        for colours, kind, order, packed in itertools.product(("minisblack", "rgb"), ("u1", "u2"), "<>", (None, "zlib"))
    }
    assert {found[label] for label in usual} == {"right"}


def test_a_small_copy_is_not_taken_for_the_image() -> None:
    picture = (COLOURS * 255).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(picture[::2, ::2], photometric="rgb", subfiletype=1)
        writer.write(picture, photometric="rgb")
    with pytest.raises(ImageError, match="first page is a small copy of another one; save the page in full size"):
        load_image(file.getvalue())
    tifffile.imwrite(alone := io.BytesIO(), picture, photometric="rgb", subfiletype=1)
    assert (np.asarray(load_image(alone.getvalue())) == picture).all()


def test_a_palette_of_8_bits_is_no_black_image() -> None:
    levels = (COLOURS[..., 0] * 255).astype(np.uint8)
    palette = np.tile(np.arange(256, dtype=np.uint16), (3, 1))
    for scale, expected in ((257, "right"), (1, "refused")):
        tifffile.imwrite(file := io.BytesIO(), levels, photometric="palette", colormap=palette * scale)
        assert judged(file.getvalue(), np.repeat(levels[..., None], 3, axis=2), 1) == expected


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_of_12_bits(*, inverted: bool, order: str) -> None:
    """Two values in three bytes; ``tifffile`` needs a further library for them, so that they are packed here."""
    values = np.rint(COLOURS[..., 0] * 4095).astype(int)
    stored = 4095 - values if inverted else values
    first, second = stored[:, ::2], stored[:, 1::2]
    packed = np.dstack([first >> 4, (first & 15) << 4 | second >> 8, second & 255]).astype(np.uint8).tobytes()
    data = tiff(packed, bits=12, photometric=0 if inverted else 1, order=order)
    assert judged(data, on_white(COLOURS[..., :1], ALPHAS["opaque"]), 1) in (
        {"right"} if order == "<" and not inverted else {"right", "refused"}
    )


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("fill", [1, 2])
def test_grey_tiffs_of_few_bits(*, bits: int, inverted: bool, order: str, fill: int) -> None:
    levels = 2**bits - 1
    values = np.rint(COLOURS[..., 0] * levels).astype(int)
    stored = levels - values if inverted else values
    if bits == 16:
        body = np.frombuffer(stored.astype(f"{order}u2").tobytes(), np.uint8)
    else:
        cut = (stored[..., None] >> np.arange(bits - 1, -1, -1)) & 1
        body = np.packbits(cut.reshape(HEIGHT, -1).astype(np.uint8), axis=1).ravel()
    if fill == 2:
        body = np.packbits(np.unpackbits(body).reshape(-1, 8)[:, ::-1])
    data = tiff(body.tobytes(), bits=bits, photometric=0 if inverted else 1, order=order, fill=fill)
    verdict = judged(data, on_white(values[..., None] / levels, ALPHAS["opaque"]), 1)
    usual = fill == 1 and (bits < 16 or order == "<" or not inverted)
    assert verdict in ({"right"} if usual else {"right", "refused"})


def tiff(body: bytes, *, bits: int, photometric: int, order: str, fill: int = 1) -> bytes:
    """An uncompressed grey TIFF of one strip."""
    tags = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: photometric, 266: fill, 273: 8 + 2 + 12 * 10 + 4}
    tags |= {277: 1, 278: HEIGHT, 279: len(body)}
    head = struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}H", len(tags))
    for tag, value in tags.items():
        long = tag in (273, 279)
        head += struct.pack(f"{order}HHI", tag, 4 if long else 3, 1)
        head += struct.pack(f"{order}I" if long else f"{order}HH", *((value,) if long else (value, 0)))
    return (b"II" if order == "<" else b"MM") + head + struct.pack(f"{order}I", 0) + body


# --- PNG -------------------------------------------------------------------------------------------------------------


def pngs() -> Iterator[tuple[str, bytes]]:
    for bits, grey, alpha, interlaced in itertools.product(
        (1, 2, 4, 8, 16), (True, False), (None, *ALPHAS), (False, True)
    ):
        if bits < 8 and (alpha or not grey):
            continue
        values = COLOURS[..., :1] if grey else COLOURS
        values = values if alpha is None else np.dstack([values, ALPHAS[alpha]])
        rows = np.rint(values * (2**bits - 1)).astype(int).reshape(HEIGHT, -1)
        stream = io.BytesIO()
        png.Writer(WIDTH, HEIGHT, greyscale=grey, alpha=alpha is not None, bitdepth=bits, interlace=interlaced).write(
            stream, rows.tolist()
        )
        yield f"{bits} {'grey' if grey else 'colour'} {alpha} {interlaced}", stream.getvalue()
    for bits, keyed, interlaced in itertools.product((1, 2, 4, 8), (False, True), (False, True)):
        palette = [
            (*map(int, c), 40 * (i % 7)) if keyed else tuple(map(int, c)) for i, c in enumerate(_palette(2**bits))
        ]
        rows = _RNG.integers(0, 2**bits, (HEIGHT, WIDTH))
        stream = io.BytesIO()
        png.Writer(WIDTH, HEIGHT, palette=palette, bitdepth=bits, interlace=interlaced).write(stream, rows.tolist())
        yield f"{bits} palette {keyed} {interlaced}", stream.getvalue()


def _palette(length: int) -> np.ndarray:
    return np.random.default_rng(length).integers(0, 256, (length, 3))


def _by_pypng(data: bytes) -> np.ndarray:
    width, height, rows, facts = png.Reader(bytes=data).asDirect()
    values = np.vstack(list(map(np.array, rows))).reshape(height, width, facts["planes"]).astype(float)
    values /= 2 ** facts["bitdepth"] - 1
    alpha = values[..., -1] if facts["alpha"] else np.ones((height, width))
    return on_white(values[..., :-1] if facts["alpha"] else values, alpha)


@pytest.mark.parametrize(("label", "data"), list(pngs()))
def test_every_png_is_decoded_right(label: str, data: bytes) -> None:
    assert judged(data, _by_pypng(data), 2) == "right", label


# --- bitmaps ---------------------------------------------------------------------------------------------------------


def bmp(
    rows: np.ndarray, bits: int, *, header: int, top_down: bool, masks: tuple[int, ...] = (), palette: bytes = b""
) -> bytes:
    lines = [row.tobytes() for row in (rows if top_down else rows[::-1])]
    body = b"".join(line + bytes(-len(line) % 4) for line in lines)
    info = struct.pack("<IiiHHIIiiII", header, WIDTH, -HEIGHT if top_down else HEIGHT, 1, bits, 3 if masks else 0,
                       len(body), 2835, 2835, len(palette) // 4, 0)  # fmt: skip
    info += struct.pack(f"<{len(masks)}I", *masks)
    info = info.ljust(header, b"\0") if header > 40 else info
    at = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", at + len(body), 0, 0, at) + info + palette + body


_RGB8 = np.rint(COLOURS * 255).astype(np.uint8)
_BGRA_MASKS, _RGBA_MASKS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xFF, 0xFF00, 0xFF0000, 0xFF000000)


@pytest.mark.parametrize("header", [40, 108, 124])
@pytest.mark.parametrize("top_down", [False, True])
def test_bitmaps_of_24_bits_and_of_palettes(*, header: int, top_down: bool) -> None:
    data = bmp(_RGB8[..., ::-1], 24, header=header, top_down=top_down)
    assert judged(data, _RGB8, 0) == "right"
    for bits in (1, 4, 8):
        palette = _palette(2**bits).astype(np.uint8)
        places = _RNG.integers(0, 2**bits, (HEIGHT, WIDTH))
        cut = (places[..., None] >> np.arange(bits - 1, -1, -1)) & 1
        rows = np.packbits(cut.reshape(HEIGHT, -1).astype(np.uint8), axis=1)
        written = np.pad(palette[:, ::-1], ((0, 0), (0, 1))).tobytes()
        assert judged(bmp(rows, bits, header=header, top_down=top_down, palette=written), palette[places], 0) == "right"


_LAYOUTS = [
    (header, masks)
    for header, masks in itertools.product((40, 56, 108, 124), ((), _BGRA_MASKS[:3], _BGRA_MASKS, _RGBA_MASKS))
    if header > 40 or len(masks) < 4  # the shortest header has no room for a mask of transparency
]


@pytest.mark.parametrize(("header", "masks"), _LAYOUTS)
@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_bitmaps_of_32_bits(*, header: int, top_down: bool, alpha: str, masks: tuple[int, ...]) -> None:
    order = _RGB8 if masks == _RGBA_MASKS else _RGB8[..., ::-1]
    rows = np.dstack([order, np.rint(ALPHAS[alpha] * 255).astype(np.uint8)])
    has_alpha = len(masks) == 4
    expected = on_white(_RGB8 / 255, ALPHAS[alpha] if has_alpha else ALPHAS["opaque"])
    masks = (*masks, 0) if header > 40 and len(masks) == 3 else masks
    assert judged(bmp(rows, 32, header=header, top_down=top_down, masks=masks), expected, 2) == "right"


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("masks", [(), (0x7C00, 0x3E0, 0x1F), (0xF800, 0x7E0, 0x1F)])
def test_bitmaps_of_16_bits(*, top_down: bool, masks: tuple[int, ...]) -> None:
    green = 6 if masks and masks[0] == 0xF800 else 5
    levels = np.array([31, 2**green - 1, 31])
    red, mid, blue = np.moveaxis(np.rint(COLOURS * levels).astype(int), 2, 0)
    rows = (red << (5 + green) | mid << 5 | blue).astype("<u2")
    expected = np.dstack([red, mid, blue]) / levels * 255
    assert judged(bmp(rows, 16, header=40, top_down=top_down, masks=masks), expected, 4) == "right"


# --- HEIC ------------------------------------------------------------------------------------------------------------

HEIC = Path(__file__).parent / "heic"
SKIN = skin(96, 64)


@pytest.mark.parametrize("name", ["plain", "turned", "ten-bits"])
def test_heic_is_decoded_upright(name: str) -> None:
    got = np.asarray(load_image(HEIC / f"{name}.heic"))
    assert got.shape == SKIN.shape
    assert np.abs(got.astype(int) - SKIN).mean() < 1.5


def test_heic_with_transparency_and_with_the_profile_of_a_phone() -> None:
    got = np.asarray(load_image(HEIC / "alpha.heic")).astype(int)
    assert (got[:, :30] >= 254).all()
    assert np.abs(got[:, 34:] - SKIN[:, 34:]).mean() < 1.5
    got = np.asarray(load_image((HEIC / "display-p3.heic").read_bytes())).astype(int)
    assert np.abs(got - in_srgb(SKIN, DISPLAY_P3, 2.2)).mean() < 1.5


def test_damaged_heic_is_refused() -> None:
    data = (HEIC / "plain.heic").read_bytes()
    for broken in (data[:300], data[: len(data) // 2], data[:40] + bytes(40) + data[80:]):
        with pytest.raises(ImageError, match=r"^the image: "):
            load_image(broken)


def test_a_large_heic_is_refused_from_its_header() -> None:
    with pytest.raises(ImageError, match="96 × 64 pixels are more than the limit of 1,000"):
        load_image(HEIC / "plain.heic", max_pixels=1000)
    assert Image.open(HEIC / "plain.heic").size == (96, 64)
