"""A case base on a Milvus server."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dermquery.data.case import NUMBERS
from dermquery.store.archive import ImageArchive
from dermquery.store.base_manifest import Manifest, ManifestError
from dermquery.store.earlier_schemas import EarlierRows
from dermquery.store.filters import FIELDS
from dermquery.store.milvus.connection import TOKEN_VARIABLE, StoreError, connected, make_searchable
from dermquery.store.protocol import CaseStore

__all__ = ["MilvusHome"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}")
_TEXTS, _TEXTS_SINCE = tuple(name for name in FIELDS if name not in NUMBERS), 4
"""Fields that are texts in a column, and the schema since which they are written as they are now."""


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
    manifest_alone = False

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
        if self.exists():
            raise ManifestError(f"{self.uri} holds a case base already; open it, or choose another name")
        versioned = self._versioned(manifest)
        if self._connected().has_collection(versioned):
            self._connected().drop_collection(versioned)  # a creation that was cut off before its alias: empty
        store = self._collection(manifest)
        self._connected().create_alias(versioned, self._name)
        return store

    def store(self, manifest: Manifest) -> CaseStore:
        from dermquery.store.milvus.milvus_store import MilvusStore

        client, versioned = self._connected(), self._versioned(manifest)
        if not client.has_collection(versioned):
            raise ManifestError(
                f"{self.uri}: the server has no collection {versioned!r} with the rows of version {manifest.version}; "
                "open the base again if it was encoded again or upgraded, else restore it from a snapshot"
            )
        make_searchable(client, versioned)
        store = MilvusStore(client, versioned, manifest.stored_size, uri=str(self.uri))
        if manifest.outdated:
            unasked = _TEXTS if manifest.schema_version < _TEXTS_SINCE else ()
            return EarlierRows(store, manifest, self.uri, unasked)
        return store

    def archive(self, manifest: Manifest) -> ImageArchive | None:
        return None if manifest.images is None else ImageArchive(manifest.images)

    def begin(self, manifest: Manifest) -> CaseStore:
        client, versioned = self._connected(), self._versioned(manifest)
        if client.has_collection(versioned):
            begun = Manifest.read(client.describe_collection(versioned)["description"], versioned)
            if begun.same_rows(manifest):
                return self.store(manifest)
            client.drop_collection(versioned)
        return self._collection(manifest)

    def switch(self, manifest: Manifest) -> None:
        self._connected().alter_alias(self._versioned(manifest), self._name)

    def renew(self, manifest: Manifest) -> None:
        """Nothing: a collection keeps the description that it was made with."""

    def tidy(self) -> int:
        client, current = self._connected(), self._versioned(self.manifest())
        versions = re.compile(rf"{re.escape(self._name)}__v[0-9]+")
        others = [name for name in client.list_collections() if versions.fullmatch(name) and name != current]
        for name in others:
            client.drop_collection(name)
        return len(others)

    def mend(self, manifest: Manifest) -> list[str]:
        """Nothing: the server answers for its files."""
        return []

    def writing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _versioned(self, manifest: Manifest) -> str:
        return f"{self._name}__v{manifest.version}"

    def _collection(self, manifest: Manifest) -> CaseStore:
        from dermquery.store.milvus.columns import collection_schema

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


def _without_secret(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", address.partition("?")[0])
