"""From an address to the home of a case base: a folder of this machine, or a collection of a Milvus server."""

from __future__ import annotations

from pathlib import Path

from dermquery.store.base_manifest import ManifestError
from dermquery.store.home import Home
from dermquery.store.lance.folder_home import FolderHome
from dermquery.store.milvus.server_home import MilvusHome

__all__ = ["home_of", "images_place"]


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
