"""A case base in a folder of this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dermquery.data.files import make_folder, remove_tree, sync
from dermquery.store.archive import ImageArchive
from dermquery.store.base_manifest import MANIFEST_FILE, Manifest, ManifestError
from dermquery.store.earlier_schemas import EarlierRows
from dermquery.store.home import BaseBusyError
from dermquery.store.protocol import CaseStore

if TYPE_CHECKING:
    from dermquery.store.lance.lance_store import LanceStore

__all__ = ["FolderHome"]

_NEXT, _LOCK = "next-manifest.json", "writer.lock"


class FolderHome:
    """``manifest.json`` beside a Lance table for each version and a folder of images."""

    images: str | None = "images"
    manifest_alone = True

    def __init__(self, folder: Path) -> None:
        self.uri: str | Path = folder
        self._folder = folder

    def exists(self) -> bool:
        return (self._folder / MANIFEST_FILE).exists()

    def manifest(self) -> Manifest:
        return Manifest.load(self._folder)

    def create(self, manifest: Manifest) -> CaseStore:
        if self.exists():
            raise ManifestError(f"{self._folder} holds a case base already; open it, or choose another folder")
        if self._folder.exists() and not self._folder.is_dir():
            raise ManifestError(f"{self._folder} is a file; choose a folder for the case base")
        # The manifest last: until it is there the folder is no base, and the next create goes over it again.
        store = self._rows(manifest, create=True)
        manifest.save(self._folder)
        return store

    def store(self, manifest: Manifest) -> CaseStore:
        if manifest.outdated:
            from dermquery.store.lance.earlier_table import EarlierTable

            table = EarlierTable(self._folder, manifest.stored_size, _table(manifest.version))
            return EarlierRows(table, manifest, self.uri)
        return self._rows(manifest, create=False)

    def archive(self, manifest: Manifest) -> ImageArchive | None:
        if manifest.images is None:
            return None
        return ImageArchive(manifest.images if "://" in manifest.images else self._folder / manifest.images)

    def begin(self, manifest: Manifest) -> CaseStore:
        from dermquery.store.lance.lance_store import drop_table

        begun = Manifest.read((self._folder / _NEXT).read_text(), _NEXT) if (self._folder / _NEXT).exists() else None
        if begun is None or not begun.same_rows(manifest) or begun.version != manifest.version:
            self._forget_next()
            drop_table(self._folder, _table(manifest.version))
            manifest.save(self._folder, _NEXT)
        return self._rows(manifest, create=True)

    def switch(self, manifest: Manifest) -> None:
        manifest.save(self._folder)
        self._forget_next()

    def tidy(self) -> int:
        from dermquery.store.lance.lance_store import drop_table
        from dermquery.store.lance.lance_table import tables

        manifest = self.manifest()
        current = _table(manifest.version)
        others = [name for name in tables(self._folder) if name != current]
        self._forget_next()
        for name in others:
            drop_table(self._folder, name)
        for left in self._folder.glob("part-*"):  # of a table that was being made when the process was killed
            remove_tree(left)
        self._rows(manifest, create=False).purge()
        return len(others)

    def mend(self, manifest: Manifest) -> list[str]:
        from dermquery.store.lance.file_sums import FileSums

        name = _table(manifest.version)
        folders = [self._folder / f"{name}.lance", *self._folder.glob(f"index/{name}-*")]
        return [
            str((folder / file).relative_to(self._folder)) for folder in folders for file in FileSums(folder).mend()
        ]

    def _forget_next(self) -> None:
        """Remove the mark of a beginning, surely before its rows go: nobody must go on with what is left of them."""
        if (self._folder / _NEXT).exists():
            (self._folder / _NEXT).unlink()
            sync([self._folder])

    def _rows(self, manifest: Manifest, *, create: bool) -> LanceStore:
        from dermquery.store.lance.lance_store import LanceStore

        layout = manifest.layout
        findings = layout.slices["findings"]
        return LanceStore(
            self._folder, layout.size, _table(manifest.version), apart=(findings.start, findings.stop), create=create
        )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The operating system drops the lock of a process that dies, so a killed writer is in nobody's way."""
        from filelock import FileLock, Timeout

        make_folder(self._folder)
        holder = self._folder / f"{_LOCK}-holder"
        try:
            with FileLock(self._folder / _LOCK, timeout=0):
                holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
                yield
                holder.unlink(missing_ok=True)
        except Timeout as error:
            who = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
            raise BaseBusyError(
                f"{self._folder} is being written to by {who}; searching is possible meanwhile, "
                "for writing wait until that is done"
            ) from error


def _table(version: int) -> str:
    return "cases" if version == 1 else f"cases_{version}"
