"""A store: ``shelf://NAME`` is the base NAME in the folder that ``$DERMQUERY_SHELF`` names."""

from __future__ import annotations

import os
from pathlib import Path

from dermquery.store.base_manifest import ManifestError
from dermquery.store.home import Home
from dermquery.store.lance.folder_home import FolderHome

__all__ = ["on_the_shelf"]


def on_the_shelf(uri: str) -> Home:
    """The home of an address; any object with the methods of :class:`dermquery.store.home.Home` would do."""
    name, shelf = uri.partition("://")[2], os.environ.get("DERMQUERY_SHELF")
    if not shelf or not name or "/" in name or name.startswith("."):
        raise ManifestError(f"{uri}: write shelf://NAME, and set DERMQUERY_SHELF to the folder of all bases")
    return FolderHome(Path(shelf).expanduser().absolute() / name)
