"""Where a case base lives: a folder of this machine, or a collection of a Milvus server."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from dermquery.store.manifest import MANIFEST_FILE, Manifest, ManifestError
from dermquery.store.protocol import CaseStore

__all__ = ["FolderHome", "Home", "MilvusHome", "home_of"]

TOKEN_VARIABLE, CERTIFICATE_VARIABLE = "DERMQUERY_MILVUS_TOKEN", "DERMQUERY_MILVUS_CA"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}")


class Home(Protocol):
    """A place for one manifest and its rows.

    Attributes:
        uri: how people name the place; never with a secret in it.
    """

    uri: str | Path

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
        """The rows."""


class FolderHome:
    """``manifest.json`` beside a LanceDB table."""

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
        store = self.store(manifest)
        manifest.save(self._folder)
        return store

    def store(self, manifest: Manifest) -> CaseStore:
        from dermquery.store.lance import LanceStore

        return LanceStore(self._folder, manifest.layout.size)


class MilvusHome:
    """A collection whose description is the manifest, so that the two appear together or not at all.

    The name in the address is an alias; rows lie in a collection of that name with a version behind it.

    Args:
        address: ``milvus://host:port/name``, with ``?tls=true`` for an encrypted connection. A token comes from the
            environment (``DERMQUERY_MILVUS_TOKEN``), as does a private certificate authority (``DERMQUERY_MILVUS_CA``,
            a PEM file).
    """

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
        return Manifest.read(description, f"the description of collection {self._name!r}")

    def create(self, manifest: Manifest) -> CaseStore:
        from dermquery.store.milvus import collection_schema

        client = self._connected()
        if self.exists():
            raise ManifestError(f"{self.uri} holds a case base already; open it, or choose another name")
        versioned = f"{self._name}__v1"
        if client.has_collection(versioned):
            client.drop_collection(versioned)  # a creation that was cut off before its alias: nothing can be in it
        schema, index = collection_schema(client, manifest.layout.size, manifest.model_dump_json())
        client.create_collection(versioned, schema=schema, index_params=index, consistency_level="Strong", num_shards=1)
        client.create_alias(versioned, self._name)
        return self.store(manifest)

    def store(self, manifest: Manifest) -> CaseStore:
        from dermquery.store.milvus import MilvusStore

        return MilvusStore(self._connected(), self._name, manifest.layout.size)

    def _connected(self) -> Any:
        if self._client is None:
            try:
                from pymilvus import MilvusClient, MilvusException
            except ModuleNotFoundError as error:
                raise ModuleNotFoundError(f"{self.uri} needs pymilvus: pip install 'dermquery[milvus]'") from error
            secure = {"server_pem_path": os.environ[CERTIFICATE_VARIABLE]} if CERTIFICATE_VARIABLE in os.environ else {}
            try:
                self._client = MilvusClient(
                    uri=f"{'https' if self._tls else 'http'}://{self._server}",
                    token=os.environ.get(TOKEN_VARIABLE, ""),
                    timeout=10,
                    **secure,
                )
            except MilvusException as error:
                raise ManifestError(
                    f"no Milvus server answers at {self._server} ({error.message}); check host, port, ?tls=true and "
                    f"{TOKEN_VARIABLE}"
                ) from error
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


def _without_secret(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", address.partition("?")[0])
