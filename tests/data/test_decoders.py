"""Images that another process decodes: the same pixels, within limits of time and memory, whatever the file does."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from dermquery.data.decoding import ANSWER, OVERHEAD, PIXEL, Decoders, DecodersError
from dermquery.data.image import ImageError, load_image
from dermquery.data.jpeg import count_scans
from tests.attacks.images import LARGE, SIDE, float_tiff, many_scans, photograph, tiny_jpeg2000
from tests.waiting import until


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    made = Decoders(1, max_pixels=64_000_000, seconds=60)
    yield made
    made.close()


def pid_of(decoders: Decoders) -> int:
    process = decoders._all[0].start()
    return process.pid


def processor_seconds(pid: int) -> float:
    """What a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def once_it_decodes(pid: int, deed: Callable[[], object]) -> None:
    """Do something as soon as a process has worked for a twentieth of a second; this returns at once."""
    begun = processor_seconds(pid)

    def wait() -> None:
        until(lambda: processor_seconds(pid) >= begun + 0.05)
        deed()

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.parametrize("kind", LARGE)
def test_the_same_pixels_as_here(decoders: Decoders, kind: str) -> None:
    data = LARGE[kind](200)
    there = decoders.decode(data)
    assert (there.mode, there.info) == ("RGB", {})
    np.testing.assert_array_equal(np.asarray(there), np.asarray(load_image(data)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_an_image_of_several_strips(decoders: Decoders, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.open(io.BytesIO(photograph(1700, 1300))).save(stream, "JPEG", exif=exif)
    there = decoders.decode(stream.getvalue())
    assert there.size == ((1700, 1300) if orientation < 5 else (1300, 1700))
    np.testing.assert_array_equal(np.asarray(there), np.asarray(load_image(stream.getvalue())))
    assert there.stored_as == "JPEG"


def test_a_reduced_scale(decoders: Decoders) -> None:
    data = photograph(2000, 1600)
    there = decoders.decode(data, least_side=400)
    assert there.size == load_image(data, least_side=400).size == (500, 400)


def test_errors_name_the_image_and_the_process_goes_on(decoders: Decoders) -> None:
    before = pid_of(decoders)
    for data in (b"", b"nothing", photograph(200, 200)[:3000], b"\x89PNG\r\n\x1a\n" + bytes(40)):
        with pytest.raises(ImageError, match=r"^arm\.jpg: ") as here:
            load_image(data, name="arm.jpg")
        with pytest.raises(ImageError) as there:
            decoders.decode(data, name="arm.jpg")
        assert str(there.value) == str(here.value)
    assert pid_of(decoders) == before


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (many_scans(101, 64), "a JPEG of more than 100 scans"),
        (many_scans(20_000), "a JPEG of more than 100 scans"),
        (tiny_jpeg2000(), "8000 × 8000 pixels of this format takes about"),
        (float_tiff(SIDE, SIDE), "8000 × 8000 pixels of this format takes about"),
    ],
    ids=["101 scans", "20,000 scans", "JPEG 2000", "one strip"],
)
def test_what_costs_too_much_is_refused_at_once(decoders: Decoders, data: bytes, said: str) -> None:
    begun = processor_seconds(pid_of(decoders))
    with pytest.raises(ImageError, match=said):
        decoders.decode(data)
    assert processor_seconds(pid_of(decoders)) - begun < 2


def test_a_hundred_scans_are_decoded(decoders: Decoders) -> None:
    assert decoders.decode(many_scans(100, 64)).size == (64, 64)


@pytest.mark.parametrize(("scans", "most", "counted"), [(1, 100, 1), (12, 100, 12), (100, 100, 100), (500, 100, 101)])
def test_scans_are_counted(scans: int, most: int, counted: int) -> None:
    assert count_scans(many_scans(scans, 64), most) == counted


def test_markers_within_other_data_are_no_scans() -> None:
    """A thumbnail in EXIF has scans of its own, and a second picture behind the first one too."""
    plain = photograph(200, 160)
    exif = b"Exif\0\0" + plain[:30_000]
    dressed = plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:] + plain
    assert count_scans(dressed, 100) == count_scans(plain, 100) == 1
    for end in range(0, len(plain), 97):
        assert count_scans(plain[:end], 100) <= 1


def test_a_process_that_takes_too_long_is_replaced() -> None:
    decoders = Decoders(1, max_pixels=64_000_000, seconds=0.2)
    try:
        before = pid_of(decoders)
        with pytest.raises(ImageError, match=r"^arm\.jpg: decoding it takes more than 0\.2 s; save it as PNG"):
            decoders.decode(LARGE["PNG"](SIDE), name="arm.jpg")
        assert decoders.decode(photograph(64, 64)).size == (64, 64)
        assert pid_of(decoders) != before
    finally:
        decoders.close()


def test_a_process_that_dies_is_replaced() -> None:
    decoders = Decoders(1, max_pixels=64_000_000, seconds=60)
    try:
        pid, data = pid_of(decoders), LARGE["PNG"](SIDE)
        once_it_decodes(pid, partial(os.kill, pid, signal.SIGKILL))
        with pytest.raises(ImageError, match=r"^the image: the decoder failed on it"):
            decoders.decode(data)
        assert decoders.decode(photograph(64, 64)).size == (64, 64)
    finally:
        decoders.close()


def test_closed_in_the_middle_of_an_image() -> None:
    decoders = Decoders(1, max_pixels=64_000_000, seconds=60)
    pid, data = pid_of(decoders), LARGE["PNG"](SIDE)
    once_it_decodes(pid, decoders.close)
    with pytest.raises((ImageError, DecodersError)):
        decoders.decode(data)
    with pytest.raises(DecodersError, match="stopped"):
        decoders.decode(data)
    assert not Path(f"/proc/{pid}").exists()


class Taken:
    """What a process answers that an image has taken over."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)
        self.write, self.flush, self.read = (lambda _: None), (lambda: None), self._stream.read


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"\0", ANSWER.pack(8001, 8000, b"PNG", 1), ANSWER.pack(1 << 31, 1 << 31, b"", 1),
        ANSWER.pack(64, 64, b"PNG", 1),
        ANSWER.pack(64, 64, b"PNG", 1) + b"x", ANSWER.pack(64, 0, b"PNG", 1), ANSWER.pack(0, 1 << 31, b"", 1) + b"few",
    ],
)  # fmt: skip
def test_an_answer_that_is_none_becomes_an_error(decoders: Decoders, answer: bytes) -> None:
    taken = Taken(answer)
    with pytest.raises((EOFError, ImageError)):
        decoders._all[0]._answer(taken, taken)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux says how much memory was used")
@pytest.mark.parametrize("kind", [kind for kind in LARGE if kind != "BMP"])  # its file alone has 192 MB
def test_the_memory_of_the_largest_image(decoders: Decoders, kind: str) -> None:
    data = LARGE[kind](SIDE)
    folder = Path(f"/proc/{pid_of(decoders)}")

    def kilobytes(name: str) -> int:
        return int((folder / "status").read_text().split(f"{name}:")[1].split()[0])

    decoders.decode(photograph(64, 64))
    before = kilobytes("VmRSS")
    (folder / "clear_refs").write_text("5")
    decoders.decode(data)
    assert 1024 * (kilobytes("VmHWM") - before) <= PIXEL * SIDE * SIDE + OVERHEAD


def test_a_tiled_image_costs_a_tile(decoders: Decoders) -> None:
    stream = io.BytesIO()
    pixels = np.full((SIDE, SIDE), 7, np.uint8)
    tifffile.imwrite(stream, pixels, tile=(256, 256), compression="zlib", metadata=None)
    assert decoders.decode(stream.getvalue()).getpixel((SIDE - 1, SIDE - 1)) == (7, 7, 7)
