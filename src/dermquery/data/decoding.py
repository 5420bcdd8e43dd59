"""Decodes images in other processes, so that a hostile file can take neither this one's memory nor its time.

A process (:mod:`.decode_worker`) decodes one image at a time. It may use 4 bytes for each pixel that is allowed, and 50
MB more; it is killed when its time is up, and another takes its place. Requests and answers go over pipes, the pixels
strip by strip through a piece of shared memory: on a busy machine each change between two processes costs more than the
copy, and a pipe would take dozens. What comes back is plain bytes of a known number, never an object: a decoder that
an image has taken over can send wrong pixels, but it cannot make this process run anything.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import queue
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

from PIL import Image

from dermquery.data.colour import PART, spans
from dermquery.data.image import LEAST_SIDE, ImageError, UprightImage

__all__ = ["Decoders", "DecodersError"]

REQUEST = struct.Struct("<QII")
"""Length of the file, which follows, ``least_side``, 0 for none, and the frame of a DICOM object."""
ANSWER = struct.Struct("<II12sI")
"""Width, height, format and number of frames, and the strips follow; or :data:`FAILED` and the length of the message,
which follows."""
STRIP, NEXT = b"s", b"n"
"""The next strip of :func:`~dermquery.data.colour.spans` stands in the shared memory; it has been taken from there."""
FAILED = 0
PIXEL, OVERHEAD = 4, 50_000_000
"""Bytes that decoding may take for each pixel that is allowed, and besides."""
_STARTS = 30.0
"""Seconds in which a process must be ready, on a machine that is busy with others."""
_MESSAGE = 4000
_PIPE = 1 << 20
_LIFE = 500
"""Images that a process decodes before another takes its place, so that no leak of a decoder adds up."""


class DecodersError(RuntimeError):
    """No process can decode now, whatever the image; the server's log says why."""


class Decoders:
    """A few processes that decode. Safe to use from several threads; more calls than processes wait.

    Args:
        places: processes; each starts when it is first needed, or with :meth:`start`.
        max_pixels: greatest width × height to decode.
        seconds: time for one image.
    """

    def __init__(self, places: int, *, max_pixels: int, seconds: float = 10.0) -> None:
        self._all = [_Worker(max_pixels, seconds) for _ in range(places)]
        self._free: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._all:
            self._free.put(worker)

    def start(self) -> None:
        """Start the processes, so that no image waits for that."""
        for worker in self._all:
            worker.start()

    def decode(self, data: bytes, *, name: str = "", least_side: int | None = None, frame: int = 1) -> UprightImage:
        """What :func:`~dermquery.data.image.load_image` gives for a file's bytes.

        Raises:
            ImageError: as there; also if the image takes too long or too much memory.
            DecodersError: no process can decode.
        """
        worker = self._free.get()
        try:
            return worker.decode(data, least_side, frame)
        except ImageError as error:
            raise error.called(name) from error
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """End the processes; what is being decoded fails."""
        for worker in self._all:
            worker.end()


class _Worker:
    """One process, started again when it has ended."""

    def __init__(self, max_pixels: int, seconds: float) -> None:
        self._max_pixels, self._seconds = max_pixels, seconds
        self._shared = _shared_memory(strip_bytes(max_pixels))
        self._strip = mmap.mmap(self._shared, strip_bytes(max_pixels))
        self._process: subprocess.Popen[bytes] | None = None
        self._changing, self._ended, self._decoded = threading.Lock(), False, 0

    def start(self) -> subprocess.Popen[bytes]:
        """The process, once it is ready.

        Raises:
            DecodersError: they were closed, or none can be started.
        """
        with self._changing:
            if self._ended:
                raise DecodersError("the service is being stopped")
            if self._process is None:
                self._process, self._decoded = _started(self._max_pixels, self._seconds, self._shared), 0
            return self._process

    def decode(self, data: bytes, least_side: int | None, frame: int) -> UprightImage:
        process = self.start()
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes, as _started says
        begun, limit = time.monotonic(), self._seconds + 1  # the process ends itself a second before
        watch = threading.Timer(limit, process.kill)
        watch.start()
        done = False
        try:
            process.stdin.write(REQUEST.pack(len(data), least_side or 0, frame))
            process.stdin.write(data)
            process.stdin.flush()
            image = self._answer(process.stdin, process.stdout)
            done = True
        except ImageError:
            done = True
            raise
        except (OSError, ValueError, EOFError) as error:
            if time.monotonic() - begun >= self._seconds:
                raise ImageError(
                    f"the image: decoding it takes more than {self._seconds:g} s; save it as PNG or plain JPEG"
                ) from error
            raise ImageError(
                "the image: the decoder failed on it, for lack of memory or as it is damaged; save it as PNG or plain "
                "JPEG"
            ) from error
        finally:
            watch.cancel()
            self._decoded += 1
            if not done or self._decoded >= _LIFE:
                self._renew()
        return image

    def _answer(self, requests: IO[bytes], answers: IO[bytes]) -> UprightImage:
        width, height, kind, frames = ANSWER.unpack(_exactly(answers, ANSWER.size))
        if width == FAILED:
            raise ImageError(_exactly(answers, min(height, _MESSAGE)).decode(errors="replace"))
        if width * height > self._max_pixels:
            raise EOFError
        whole = None
        for top, bottom in spans(height, width):
            if _exactly(answers, 1) != STRIP:
                raise EOFError
            with memoryview(self._strip)[: 3 * width * (bottom - top)] as rows:
                part = Image.frombytes("RGB", (width, bottom - top), rows)
            requests.write(NEXT)
            requests.flush()
            if part.size == (width, height):
                whole = part
                break
            whole = whole or Image.new("RGB", (width, height), None)
            whole.paste(part, (0, top))
        if whole is None:
            raise EOFError
        image = UprightImage.taking(whole)
        image.stored_as, image.frames = kind.rstrip(b"\0").decode("ascii", errors="replace"), frames
        return image

    def end(self) -> None:
        """End the process for good."""
        self._ended = True
        if (process := self._process) is not None:
            process.kill()
            with self._changing:
                _reap(process)

    def _renew(self) -> None:
        with self._changing:
            if self._process is not None:
                self._process.kill()
                _reap(self._process)
                self._process = None
        if not self._ended:
            threading.Thread(target=self._started_again, name="decoder", daemon=True).start()

    def _started_again(self) -> None:
        try:
            self.start()
        except DecodersError:  # whoever needs it is told
            return


def strip_bytes(max_pixels: int) -> int:
    """Bytes of the largest strip: one row, of an image that is as wide as it may be, can be longer than a part."""
    return 3 * max(PART, max_pixels // LEAST_SIDE)


def _shared_memory(size: int) -> int:
    """A file in memory that this process and one that it starts can map; nobody can make it smaller or larger."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            return os.dup(file.fileno())
    handle = os.memfd_create("strip", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(handle, size)
    fcntl.fcntl(handle, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return handle


def _started(max_pixels: int, seconds: float, shared: int) -> subprocess.Popen[bytes]:
    source = str(Path(__file__).parents[2])
    paths = os.pathsep.join([source, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-P", "-m", "dermquery.data.decode_worker", str(max_pixels), str(seconds), str(shared)]
    process = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        pass_fds=(shared,),
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
    with contextlib.suppress(AttributeError, OSError):  # a file goes through in a few turns
        fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, _PIPE)
    watch = threading.Timer(_STARTS, process.kill)
    watch.start()
    try:
        ready = process.stdout.read(1)
    finally:
        watch.cancel()
    if ready != NEXT:
        process.kill()
        _reap(process)
        raise DecodersError("a process that decodes images ended before it was ready")
    return process


def _exactly(stream: IO[bytes], length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _reap(process: subprocess.Popen[bytes]) -> None:
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # what it had not read yet
                stream.close()
