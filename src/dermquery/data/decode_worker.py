"""The process that decodes images for others, so that a hostile one can be stopped: started by :mod:`.decoding`.

It reads requests from standard input and answers on standard output, in plain bytes (:mod:`.decoding` says which).
Its limits are the kernel's, so that no decoder can pass over them: memory, a clock that ends it, no file that grows, no
core dump.
"""

from __future__ import annotations

import contextlib
import mmap
import resource
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from PIL import ImageCms

from dermquery.data.decoding import ANSWER, FAILED, NEXT, OVERHEAD, PIXEL, REQUEST, STRIP, strip_bytes
from dermquery.data.dicom.container import DicomError, is_dicom, need_libraries
from dermquery.data.image import ImageError, upright_strips

__all__ = ["main"]

_LEFT = 16 << 20
"""Of the memory beside the pixels, for the file, the strips and Python."""


def main(max_pixels: int, seconds: float, shared: int) -> None:
    """Decode one image after the other until standard input ends.

    Args:
        max_pixels: greatest width × height to decode.
        seconds: after which the process ends, in the middle of an image.
        shared: descriptor of the memory for strips.
    """
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    with mmap.mmap(shared, strip_bytes(max_pixels)) as strip:
        ImageCms.createProfile("sRGB")  # loads what it needs before memory is limited
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        empty, knows_dicom = _size_of_process(), False
        _say(answers, NEXT)
        while len(head := requests.read(REQUEST.size)) == REQUEST.size:
            length, least_side, frame = REQUEST.unpack(head)
            data = requests.read(length)
            if not knows_dicom and is_dicom(data[:256]):
                empty, knows_dicom = empty + _load_dicom(), True
            signal.setitimer(signal.ITIMER_REAL, seconds)  # its default action ends the process, whatever it does
            memory = PIXEL * max_pixels + OVERHEAD
            if empty:
                resource.setrlimit(resource.RLIMIT_AS, (empty + length + memory, resource.RLIM_INFINITY))
            try:
                _decode(data, max_pixels, least_side or None, frame, memory - _LEFT, strip)
            except ImageError as error:
                message = str(error).encode(errors="replace")[:4000]
                _say(answers, ANSWER.pack(FAILED, len(message), b"", 0) + message)
            signal.setitimer(signal.ITIMER_REAL, 0)


def _decode(
    data: bytes, max_pixels: int, least_side: int | None, frame: int, max_bytes: int, shared: mmap.mmap
) -> None:
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    with upright_strips(data, max_pixels=max_pixels, least_side=least_side, max_bytes=max_bytes, frame=frame) as strips:
        _say(answers, ANSWER.pack(*strips.size, strips.format.encode()[:12], strips.frames))
        for strip in strips:
            rows = strip.tobytes()
            shared[: len(rows)] = rows
            _say(answers, STRIP)
            if requests.read(1) != NEXT:
                sys.exit(1)


def _load_dicom() -> int:
    """Bytes of address space that the libraries for DICOM take; they are loaded outside of the limits of an image."""
    before = _size_of_process()
    if before:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with contextlib.suppress(DicomError):  # said when the image is opened
        need_libraries()
    return _size_of_process() - before


def _say(stream: BinaryIO, data: bytes) -> None:
    stream.write(data)
    stream.flush()


def _size_of_process() -> int:
    """Bytes of its address space; 0 on a system that does not keep to a limit of it."""
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
