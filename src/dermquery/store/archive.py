"""The images of a case base, named by the SHA-256 of their bytes, with a thumbnail each; in a folder or S3."""

from __future__ import annotations

import hashlib
import io
import threading
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from dermquery.data.files import hidden_beside, make_folder, replacing_all, sync

__all__ = ["THUMBNAIL_SIDE", "ArchiveError", "ImageArchive", "small_copy", "thumbnail_of"]

THUMBNAIL_SIDE = 256
_QUALITY = 85
_SEALED, _UNSEALED = b"\xff\xd8\xff\xfe\x00\x12crc32 = ", b"\xff\xd8\xff\xe0"
"""How thumbnails begin: with a comment of 16 bytes, of which 8 are to come; those of earlier versions with JFIF's."""
_SCHEMES = frozenset({"file", "s3"})
"""A snapshot of unknown origin says where its images lie, and must not make this machine fetch what it names."""
_HEX = frozenset("0123456789abcdef")


class ArchiveError(OSError):
    """An image cannot be kept in, or taken from, the archive; the message says where and why."""


class ImageArchive:
    """Original files, byte for byte, and JPEG thumbnails without metadata, named by the SHA-256 of the original.

    Putting the same image twice changes nothing, and no file is ever overwritten with other content, so writers need
    no lock and a killed one leaves at worst an image that no case names (:meth:`sweep`). In a folder, what was put is
    there and on the disk after :meth:`flush`: one for many images, because a disk takes many as fast as one.

    Args:
        url: a folder, ``file:///folder`` or ``s3://bucket/prefix``. Credentials and the endpoint come
            from the environment, as the S3 client reads them (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, …).

    Raises:
        ArchiveError: a scheme that is not known, or whose package is not installed.
    """

    def __init__(self, url: str | Path) -> None:
        import fsspec  # type: ignore[import-untyped]
        from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

        self.url = str(url)
        scheme = self.url.partition("://")[0] if "://" in self.url else "file"
        if scheme not in _SCHEMES:
            raise ArchiveError(
                f"{self.url}: images are kept in a folder or on S3, and never fetched from elsewhere; give a folder, "
                "file:///folder or s3://bucket/prefix"
            )
        try:
            self._files, self._root = fsspec.core.url_to_fs(self.url)
        except (ValueError, ImportError) as error:
            raise ArchiveError(
                f"{self.url}: images cannot be kept there ({error}); give a folder, or s3://bucket/prefix with: "
                "pip install 'dermquery[s3]'"
            ) from error
        self._local = isinstance(self._files, LocalFileSystem)
        self._adding = threading.Lock()
        self._unflushed: dict[Path, Path] = {}
        self._named: set[Path] = set()  # folders of files that another process may have been about to flush

    def put(self, sha256: str, data: bytes, thumbnail: bytes) -> None:
        """Keep an image file and its thumbnail, unless they are there; safe after the next :meth:`flush`.

        Args:
            sha256: of ``data``, in hexadecimal digits.
            data: the file's bytes.
            thumbnail: the same as a small JPEG (:func:`thumbnail_of`).

        Raises:
            ArchiveError: they cannot be written.
        """
        try:
            # The original last: where it is, the thumbnail is too.
            for kind, content in (("thumbnails", thumbnail), ("originals", data)):
                path = self._path(kind, sha256)
                if not self._files.exists(path):
                    self._write(path, content)
                elif self._local:
                    self._named.add(Path(path).parent)
        except Exception as error:  # whatever the client of the remote store raises
            raise ArchiveError(f"{self.url}: the image {sha256[:12]}… cannot be written ({error})") from error

    def replace(self, sha256: str, data: bytes, thumbnail: bytes) -> None:
        """Keep an image file and its thumbnail in place of what is there, which is damaged; safe when this returns.

        Raises:
            ArchiveError: they cannot be written.
        """
        try:
            for kind in ("originals", "thumbnails"):
                if self._files.exists(path := self._path(kind, sha256)):
                    self._files.rm_file(path)
        except Exception as error:  # whatever the client of the remote store raises
            raise ArchiveError(f"{self.url}: the image {sha256[:12]}… cannot be written anew ({error})") from error
        self.put(sha256, data, thumbnail)
        self.flush()

    def flush(self) -> None:
        """Take to the disk what was put so far, by any thread.

        Raises:
            ArchiveError: something cannot be written; none of it may be relied upon.
        """
        with self._adding:
            unflushed, self._unflushed = self._unflushed, {}
            named, self._named = self._named, set()
        try:
            kinds = {path.parent.parent for path in unflushed}
            sync({*named, *(folder.parent for folder in named), *kinds})
            # The originals last: where a reader sees one, its thumbnail is too.
            replacing_all(sorted(((part, path) for path, part in unflushed.items()), key=_originals_last))
        except OSError as error:
            for part in unflushed.values():
                part.unlink(missing_ok=True)
            raise ArchiveError(f"{self.url}: images cannot be written ({error})") from error

    def original(self, sha256: str) -> bytes:
        """The bytes of an image file, held against their name.

        Raises:
            ArchiveError: it is not there, cannot be read, or is damaged.
        """
        data = self._read("originals", sha256)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ArchiveError(f"{self.url}: the image {sha256[:12]}… is damaged; restore it from a backup")
        return data

    def thumbnail(self, sha256: str) -> bytes:
        """A JPEG of at most :data:`THUMBNAIL_SIDE` pixels a side. ArchiveError as for :meth:`original`."""
        data = self._read("thumbnails", sha256)
        if not _seal_holds(data):
            raise ArchiveError(f"{self.url}: the thumbnail of {sha256[:12]}… is damaged; restore it from a backup")
        return data

    def local_path(self, sha256: str) -> Path | None:
        """Where the original lies on this machine; None if it is not there or the archive is elsewhere."""
        path = Path(self._path("originals", sha256))
        return path if self._local and path.is_file() else None

    @property
    def lasting_url(self) -> str:
        """The URL by which it is found from anywhere on this machine."""
        return f"file://{self._root}" if self._local else self.url

    def copy(self, source: ImageArchive, names: Iterable[str]) -> None:
        """Take images over from another archive: those that it holds and that are not here yet.

        Every original is held against its name. One that is damaged or cannot be read stays out, and is missing here.

        Raises:
            ArchiveError: one cannot be written.
        """
        for name in names:
            if name not in self and name in source:
                try:
                    data, thumbnail = source.original(name), source.thumbnail(name)
                except ArchiveError:
                    continue
                self.put(name, data, thumbnail)
        self.flush()

    def __contains__(self, sha256: str) -> bool:
        return bool(self._files.exists(self._path("originals", sha256)))

    def sizes(self) -> Callable[[str], int | None]:
        """Bytes of an image, None if it is not there, for many questions: a remote archive is asked once for all.

        Raises:
            ArchiveError: it cannot be reached.
        """
        if self._local:
            return self._local_size
        known: dict[str, int] = {}
        try:
            if self._files.isdir(f"{self._root}/originals"):
                found = self._files.find(f"{self._root}/originals", detail=True)
                known = {path.rpartition("/")[2]: int(entry["size"]) for path, entry in found.items()}
        except Exception as error:  # whatever the client of the remote store raises
            raise ArchiveError(f"{self.url}: the images cannot be listed ({error})") from error
        return lambda name: known.get(name)

    def _local_size(self, sha256: str) -> int | None:
        try:
            return Path(self._path("originals", sha256)).stat().st_size
        except FileNotFoundError:
            return None

    def names(self) -> Iterator[str]:
        """SHA-256 of every original."""
        if not self._files.isdir(f"{self._root}/originals"):
            return
        for path in self._files.find(f"{self._root}/originals"):
            name = path.rpartition("/")[2]
            if len(name) == 64 and _HEX.issuperset(name):
                yield name

    def sweep(self, keep: Collection[str]) -> int:
        """Remove the images that are not among those to keep; returns how many there were."""
        kept = set(keep)
        loose = [name for name in self.names() if name not in kept]
        for name in loose:
            for kind in ("originals", "thumbnails"):
                if self._files.exists(path := self._path(kind, name)):
                    self._files.rm_file(path)
        if self._local:  # what writers that were cut off left behind
            for part in Path(self._root).glob("*/*/.*"):
                part.unlink(missing_ok=True)
        return len(loose)

    def _path(self, kind: str, sha256: str) -> str:
        """Two levels, because a million files in one folder are slow to list. A name that is no SHA-256 is refused."""
        if len(sha256) != 64 or not _HEX.issuperset(sha256):
            raise ArchiveError(f"{sha256[:80]!r} is no SHA-256 in hexadecimal digits")
        return f"{self._root}/{kind}/{sha256[:2]}/{sha256}"

    def _write(self, path: str, data: bytes) -> None:
        if not self._local:
            self._files.pipe_file(path, data)  # one PUT, which is there whole or not at all
            return
        target = Path(path)
        make_folder(target.parent.parent)
        target.parent.mkdir(exist_ok=True)
        part = hidden_beside(target)
        part.write_bytes(data)
        with self._adding:
            first = self._unflushed.setdefault(target, part)
        if first is not part:  # another thread put the same image
            part.unlink()

    def _read(self, kind: str, sha256: str) -> bytes:
        path = self._path(kind, sha256)
        try:
            data: Any = self._files.cat_file(path)
        except FileNotFoundError as error:
            raise ArchiveError(
                f"{self.url} does not hold the image {sha256[:12]}…; restore it from a backup"
            ) from error
        except Exception as error:
            raise ArchiveError(f"{self.url}: the image {sha256[:12]}… cannot be read ({error})") from error
        return bytes(data)


def _originals_last(written: tuple[Path, Path]) -> bool:
    return written[1].parent.parent.name == "originals"


def small_copy(image: Image.Image) -> Image.Image:
    """An image of at most :data:`THUMBNAIL_SIDE` pixels a side; the given one is left as it is."""
    share = THUMBNAIL_SIDE / max(image.size)
    if share >= 1:
        return image.copy()
    width, height = (max(1, round(side * share)) for side in image.size)
    # Hamming looks like a bicubic filter and takes less than half of Lanczos's time, which was a sixth of an ingest.
    return image.resize((width, height), Image.Resampling.HAMMING, reducing_gap=1.0)


def thumbnail_of(small: Image.Image) -> bytes:
    """A small RGB image as JPEG, without metadata, save a comment with the checksum of all that is no comment."""
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=_QUALITY)
    rest = buffer.getvalue()[2:]
    return _SEALED + f"{zlib.crc32(rest):08x}".encode() + rest


def _seal_holds(thumbnail: bytes) -> bool:
    """Whether a thumbnail is as it was written; those of earlier versions have no checksum, and pass for whole."""
    start, end = len(_SEALED), len(_SEALED) + 8
    if thumbnail[:start] != _SEALED:
        return thumbnail.startswith(_UNSEALED)
    return thumbnail[start:end] == f"{zlib.crc32(thumbnail[end:]):08x}".encode()
