"""Versions of a Lance table that a power cut leaves whole, and what to do about those that it did not.

Lance flushes nothing. It asks for a lock around each commit, though, between the last data file and the manifest that
names them, and gives it back after the manifest. So the lock is the place to flush: first what a version is made of,
then the version. What a cut leaves then is a manifest without content at worst, of a version that nobody was told of.
Tables of earlier versions of dermquery may lack data files too. Both are passed over when a table is opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dermquery.data.files import make_folder, move, sync
from dermquery.store.lance.file_sums import FileSums

if TYPE_CHECKING:
    from lance import LanceDataset

__all__ = ["Commits", "Torn", "is_failure", "live_files", "manifests", "newest_whole", "set_aside"]

_FAILURES = (ValueError, OSError, RuntimeError, pa.ArrowException)
_CONTENT, _VERSIONS, _ASIDE, _LOCK = ("data", "_deletions", "_indices"), "_versions", "_torn", "commit.lock"
_LAST = 2**64 - 1
"""Manifests are named by how far their version is from it, so that the newest is listed first."""


class Commits:
    """Lance's commit lock of one table: what is committed is on the disk when it is given back.

    Args:
        path: folder of the table.

    Attributes:
        sums: checksums of the files that commits brought.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.sums = FileSums(path)
        self._flushed: dict[str, frozenset[str]] = {}

    @contextmanager
    def __call__(self, version: int) -> Iterator[None]:
        """Flush what the version is made of, let Lance write its manifest, and flush that."""
        self._flush(_CONTENT)
        yield
        self._flush((_VERSIONS,))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else commit while the block runs.

        Whoever commits holds this before Lance begins: waiting within the commit would take the threads from Lance in
        which the commit that is waited for goes on.
        """
        from filelock import FileLock

        with FileLock(self._path / _LOCK):
            if not self._flushed:  # a process that was killed may have left what it never flushed, and never confirmed
                self._flush((*_CONTENT, _VERSIONS))
            yield

    def prune(self) -> None:
        """Forget the checksums of files that are gone."""
        there = (Path(where, file) for where, files in _listed(self._path) for file in files)
        self.sums.keep(file.relative_to(self._path).as_posix() for file in there)

    def _flush(self, names: tuple[str, ...]) -> None:
        """Flush the files of some folders that were not flushed here before; of a process's first commit, all."""
        first, seen = not self._flushed, dict(part for name in names for part in _listed(self._path / name))
        folders = [Path(folder).parent for folder in seen if folder not in self._flushed]
        files: list[Path] = []
        for folder, there in seen.items():
            if fresh := there - self._flushed.get(folder, frozenset()):
                folders.append(Path(folder))
                files += [Path(folder, file) for file in fresh]
        if files:
            known = self.sums.read() if first else {}
            relative = (file.relative_to(self._path).as_posix() for file in files)
            self.sums.add(name for name in relative if name not in known)
            sync([*files, *folders, self.sums.file, self._path])
        self._flushed.update(seen)


def _listed(folder: Path) -> Iterator[tuple[str, frozenset[str]]]:
    """A folder and those in it, each with its files, save those that are being written."""
    for where, _, files in os.walk(folder):
        yield where, frozenset(file for file in files if not file.startswith("."))


@dataclass(frozen=True)
class Torn:
    """A version of a table that is not whole.

    Attributes:
        version: its number.
        manifest: the file that says what it is made of.
        lacks: what is wrong with it, in words.
        state: of the file, by which it is known again: inode, size and time of change.
        confirmed: whether its writer may have been told that it was safe. A manifest is only there after its files, so
            one that is whole names files that were lost later; and one as long as it was written has changed since.
    """

    version: int
    manifest: Path
    lacks: str
    state: tuple[int, int, int]
    confirmed: bool

    @property
    def there(self) -> bool:
        """Whether it still lies where it was found."""
        return _state(self.manifest) == self.state


def is_failure(error: BaseException) -> bool:
    """Whether an error is what Lance raises where files are gone or damaged; its panics are no ``Exception``."""
    return isinstance(error, _FAILURES) or type(error).__name__ == "PanicException"


def newest_whole(path: Path, commits: Commits) -> tuple[LanceDataset | None, list[Torn]]:
    """The newest version of a table that is whole, None without one, and those after it that are not."""
    import lance

    torn: list[Torn] = []
    there = manifests(path)
    for version, manifest in there:
        dataset, lacks = None, ""
        name = manifest.relative_to(path).as_posix()
        length = commits.sums.read().get(name, (0, 0))[1]
        try:
            if length and length == _size(manifest) and commits.sums.wrong([name]):
                lacks = f"{manifest.name} is not as it was written"
            else:
                # The newest by itself, which is one look at the folder less.
                asked: dict[str, Any] = {} if version == there[0][0] else {"version": version}
                dataset = lance.dataset(path, commit_lock=commits, **asked)
                lacks = _lacking(path, dataset, version)
        except BaseException as error:
            if not is_failure(error):
                raise
            lacks = f"{manifest.name} is empty" if _empty(manifest) else f"{manifest.name} cannot be read ({error})"
        if dataset is not None and not lacks:
            return dataset, torn
        if (state := _state(manifest)) is not None:
            whole = dataset is not None and int(dataset.version) == version
            torn.append(Torn(version, manifest, lacks, state, whole or 0 < length == state[1]))
    return None, torn


def set_aside(path: Path, torn: Torn) -> None:
    """Move a torn version out of the way of the next one; only whoever holds the right to write may do so."""
    if torn.there:
        make_folder(path / _ASIDE)
        move(torn.manifest, path / _ASIDE / f"{torn.version}-{torn.manifest.name}")


def manifests(path: Path) -> list[tuple[int, Path]]:
    """Versions and their manifests, the newest first."""
    found = []
    for manifest in (path / _VERSIONS).glob("*.manifest"):
        with suppress(ValueError):
            number = int(manifest.stem)
            found.append((_LAST - number if len(manifest.stem) == len(str(_LAST)) else number, manifest))
    return sorted(found, reverse=True)


def live_files(path: Path, dataset: LanceDataset) -> Iterator[tuple[str, int | None]]:
    """What a version is made of, without its manifest: files by their path in the table's folder, and their lengths.

    None for the length of a file that is not known.
    """
    for fragment in dataset.get_fragments():
        described = fragment.metadata
        for file in described.files:
            yield f"data/{file.path}", file.file_size_bytes
        if described.deletion_file is not None:
            yield described.deletion_file.path(described.id), None
    for part in (part for index in dataset.describe_indices() for part in index.segments):
        folder = path / "_indices" / str(part.uuid)
        files = sorted(file.relative_to(path).as_posix() for file in folder.glob("*"))
        yield from ((name, None) for name in files or [f"_indices/{part.uuid}"])


def _lacking(path: Path, dataset: LanceDataset, version: int) -> str:
    """What a version names and does not have; empty if it is whole. Files are looked at, not read."""
    if int(dataset.version) != version:
        return f"its manifest says that it is version {dataset.version}"
    wrong = []
    for name, length in live_files(path, dataset):
        size = _size(path / name)
        if not size or size != (length or size):
            wrong.append(name)
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return f"{', '.join(wrong[:3])}{more} {'is' if len(wrong) == 1 else 'are'} missing or cut off" if wrong else ""


def _size(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    return state[1] if (state := _state(path)) is not None else 0


def _empty(path: Path) -> bool:
    return _size(path) == 0


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
