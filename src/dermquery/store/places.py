"""From an address to the home of a case base: a folder of this machine, or what a scheme names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dermquery.extensions import Extensions
from dermquery.store.base_manifest import ManifestError
from dermquery.store.home import Home
from dermquery.store.lance.folder_home import FolderHome

__all__ = ["STORES", "home_of", "images_place"]

STORES: Extensions[Callable[[str], Home]] = Extensions(
    "dermquery.stores",
    "store",
    callable,
    "a function from an address to a dermquery.store.home.Home",
    {"file": "dermquery.store.places:_local_home", "milvus": "dermquery.store.milvus.server_home:MilvusHome"},
)
"""Places of case bases by the scheme of their address; one without a scheme is a folder."""


def home_of(uri: str | Path) -> Home:
    """The home that a URI names: a folder, or ``scheme://…`` with one of :data:`STORES`.

    Raises:
        ManifestError: another scheme, or an address that names no collection.
        ExtensionError: another package's store is broken.
    """
    scheme, separator, _ = str(uri).partition("://")
    if not separator:
        return FolderHome(Path(uri).expanduser().absolute())
    if (home := STORES.find(scheme)) is None:
        known = ", ".join(f"{name}://" for name in STORES.names())
        raise ManifestError(
            f"{uri}: a case base lies in a folder or at milvus://host:port/name; {scheme}:// is not supported "
            f"(known: {known})"
        )
    with STORES.blamed(scheme):
        return home(str(uri))


def _local_home(uri: str) -> Home:
    return FolderHome(Path(uri.partition("://")[2]).expanduser().absolute())


def images_place(images: str | bool, home: Home) -> str | None:
    """Where a base keeps its images, as its manifest says it: True is the home's own place, False nowhere."""
    if isinstance(images, bool):
        return home.images if images else None
    return images if "://" in images else str(Path(images).expanduser().absolute())
