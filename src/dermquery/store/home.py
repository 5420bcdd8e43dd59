"""Where a case base lives: a folder of this machine, or a collection of a Milvus server."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, urlsplit

from dermquery.store.archive import ImageArchive
from dermquery.store.manifest import MANIFEST_FILE, ROWS_SINCE, Manifest, ManifestError
from dermquery.store.milvus_client import TOKEN_VARIABLE, StoreError, connected, make_searchable
from dermquery.store.protocol import CaseStore

if TYPE_CHECKING:
    from dermquery.store.lance import LanceStore

__all__ = ["BaseBusyError", "FolderHome", "Home", "MilvusHome", "home_of", "images_place"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}")
_NEXT, _LOCK = "next-manifest.json", "writer.lock"


class BaseBusyError(ManifestError):
    """Another process is writing to the base."""


class Home(Protocol):
    """A place for one manifest and its rows, and for a next version of both that takes their place in one step.

    Attributes:
        uri: how people name the place; never with a secret in it.
        images: where a new base keeps its images if nothing else is said, as :attr:`Manifest.images`.
    """

    uri: str | Path
    images: str | None

    def exists(self) -> bool:
        """Whether there is a case base."""

    def manifest(self) -> Manifest:
        """The manifest; ManifestError if there is none or none that can be used."""

    def create(self, manifest: Manifest) -> CaseStore:
        """An empty base; what a creation that was cut off left behind is gone over again.

        Raises:
            ManifestError: there is a case base already, or something else in the way.
        """

    def store(self, manifest: Manifest) -> CaseStore:
        """The rows of the version that a manifest of this base describes."""

    def archive(self, manifest: Manifest) -> ImageArchive | None:
        """The images, if the base keeps them."""

    def begin(self, manifest: Manifest) -> CaseStore:
        """Rows of a next version beside the current one: those of a beginning with equal vectors, else none."""

    def switch(self, manifest: Manifest) -> None:
        """Let the next version take the place of the current one, whose rows stay until :meth:`tidy`."""

    def tidy(self) -> int:
        """Remove the rows of all other versions, and what an index holds of deleted ones; returns how many versions."""

    def writing(self) -> AbstractContextManager[None]:
        """Hold the right to write while the block runs; BaseBusyError if another process has it."""


class FolderHome:
    """``manifest.json`` beside a LanceDB table for each version and a folder of images."""

    images: str | None = "images"

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
        return self._rows(manifest, create=False)

    def archive(self, manifest: Manifest) -> ImageArchive | None:
        if manifest.images is None:
            return None
        return ImageArchive(manifest.images if "://" in manifest.images else self._folder / manifest.images)

    def begin(self, manifest: Manifest) -> CaseStore:
        from dermquery.store.lance import drop_table

        begun = Manifest.read((self._folder / _NEXT).read_text(), _NEXT) if (self._folder / _NEXT).exists() else None
        if begun is None or not begun.same_vectors(manifest) or begun.version != manifest.version:
            drop_table(self._folder, _table(manifest.version))
            manifest.save(self._folder, _NEXT)
        return self._rows(manifest, create=True)

    def switch(self, manifest: Manifest) -> None:
        manifest.save(self._folder)
        (self._folder / _NEXT).unlink(missing_ok=True)

    def tidy(self) -> int:
        from dermquery.store.lance import drop_table, tables

        manifest = self.manifest()
        current = _table(manifest.version)
        others = [name for name in tables(self._folder) if name != current]
        for name in others:
            drop_table(self._folder, name)
        (self._folder / _NEXT).unlink(missing_ok=True)
        self._rows(manifest, create=False).purge()
        return len(others)

    def _rows(self, manifest: Manifest, *, create: bool) -> LanceStore:
        from dermquery.store.lance import LanceStore

        return LanceStore(self._folder, manifest.layout.size, _table(manifest.version), create=create)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The operating system drops the lock of a process that dies, so a killed writer is in nobody's way."""
        from filelock import FileLock, Timeout

        self._folder.mkdir(parents=True, exist_ok=True)
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


class MilvusHome:
    """A collection whose description is the manifest, so that the two appear together or not at all.

    The name in the address is an alias; rows lie in a collection of that name with a version behind it. Several
    processes may write at once: the server keeps one row for each ``case_id``, the last one written.

    Args:
        address: ``milvus://host:port/name``, with ``?tls=true`` for an encrypted connection. A token comes from the
            environment (``DERMQUERY_MILVUS_TOKEN``), as does a private certificate authority (``DERMQUERY_MILVUS_CA``,
            a PEM file).
    """

    images: str | None = None

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        options = parse_qs(parts.query, keep_blank_values=True)
        name = parts.path.strip("/")
        if not parts.hostname or not _NAME.fullmatch(name) or set(options) - {"tls"} or parts.fragment:
            raise ManifestError(
                f"{_without_secret(address)} names no collection; write milvus://host:port/name, with letters, digits "
                "and underscores in the name, and ?tls=true for an encrypted connection"
            )
        if parts.username or parts.password:
            raise ManifestError(
                f"{_without_secret(address)}: an address ends up in logs and reports; give the token in the "
                f"environment variable {TOKEN_VARIABLE}"
            )
        self._tls = options.get("tls", ["false"])[0].lower() in ("true", "1", "yes", "")
        self._server, self._name = f"{parts.hostname}:{parts.port or 19530}", name
        self.uri: str | Path = address
        self._client: Any = None

    def exists(self) -> bool:
        return bool(self._connected().has_collection(self._name))

    def manifest(self) -> Manifest:
        if not self.exists():
            raise ManifestError(
                f"{self.uri} is no case base: the server has no collection {self._name!r}. Check the name, or make a "
                f"base with: dermquery index TABLE --base {self.uri} --model MODEL"
            )
        description = self._connected().describe_collection(self._name)["description"]
        return Manifest.read(description, f"the description of collection {self._name!r}", ROWS_SINCE)

    def create(self, manifest: Manifest) -> CaseStore:
        if self.exists():
            raise ManifestError(f"{self.uri} holds a case base already; open it, or choose another name")
        versioned = self._versioned(manifest)
        if self._connected().has_collection(versioned):
            self._connected().drop_collection(versioned)  # a creation that was cut off before its alias: empty
        store = self._collection(manifest)
        self._connected().create_alias(versioned, self._name)
        return store

    def store(self, manifest: Manifest) -> CaseStore:
        from dermquery.store.milvus import MilvusStore

        client, versioned = self._connected(), self._versioned(manifest)
        if not client.has_collection(versioned):
            raise ManifestError(
                f"{self.uri}: the server has no collection {versioned!r} with the rows of version {manifest.version}; "
                "open the base again if it was encoded again, else restore it from a snapshot"
            )
        make_searchable(client, versioned)
        return MilvusStore(client, versioned, manifest.layout.size)

    def archive(self, manifest: Manifest) -> ImageArchive | None:
        return None if manifest.images is None else ImageArchive(manifest.images)

    def begin(self, manifest: Manifest) -> CaseStore:
        client, versioned = self._connected(), self._versioned(manifest)
        if client.has_collection(versioned):
            begun = Manifest.read(client.describe_collection(versioned)["description"], versioned)
            if begun.same_vectors(manifest):
                return self.store(manifest)
            client.drop_collection(versioned)
        return self._collection(manifest)

    def switch(self, manifest: Manifest) -> None:
        self._connected().alter_alias(self._versioned(manifest), self._name)

    def tidy(self) -> int:
        client, current = self._connected(), self._versioned(self.manifest())
        versions = re.compile(rf"{re.escape(self._name)}__v[0-9]+")
        others = [name for name in client.list_collections() if versions.fullmatch(name) and name != current]
        for name in others:
            client.drop_collection(name)
        return len(others)

    def writing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _versioned(self, manifest: Manifest) -> str:
        return f"{self._name}__v{manifest.version}"

    def _collection(self, manifest: Manifest) -> CaseStore:
        from dermquery.store.milvus_rows import collection_schema

        client = self._connected()
        schema, index = collection_schema(client, manifest.layout.size, manifest.model_dump_json())
        client.create_collection(
            self._versioned(manifest), schema=schema, index_params=index, consistency_level="Strong", num_shards=1
        )
        return self.store(manifest)

    def _connected(self) -> Any:
        if self._client is None:
            try:
                self._client = connected(self._server, tls=self._tls)
            except StoreError as error:
                raise ManifestError(str(error)) from error
        return self._client


def home_of(uri: str | Path) -> Home:
    """The home that a URI names: ``milvus://…``, ``file://…`` or a folder.

    Raises:
        ManifestError: another scheme, or an address that names no collection.
    """
    scheme, separator, rest = str(uri).partition("://")
    if not separator:
        return FolderHome(Path(uri).expanduser().absolute())
    if scheme == "file":
        return FolderHome(Path(rest).expanduser().absolute())
    if scheme == "milvus":
        return MilvusHome(str(uri))
    raise ManifestError(
        f"{uri}: a case base lies in a folder or at milvus://host:port/name; {scheme}:// is not supported"
    )


def images_place(images: str | bool, home: Home) -> str | None:
    """Where a base keeps its images, as its manifest says it: True is the home's own place, False nowhere."""
    if isinstance(images, bool):
        return home.images if images else None
    return images if "://" in images else str(Path(images).expanduser().absolute())


def _without_secret(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", address.partition("?")[0])
