"""Artifacts of tiny networks: one that encodes any text, one that reads texts into findings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from dermquery.lab.network.pack import save_model
from tests.sharing import made_once
from tests.tiny import tiny_model


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Folders of the artifacts by how they read a text; tests that change one copy it."""

    def pack(folder: Path) -> None:
        for reading in ("verbatim", "findings"):
            save_model(tiny_model(folder / "source", reading=reading), folder / reading, card="# card")

    folder = made_once(tmp_path_factory, "packed", pack)
    return {reading: folder / reading for reading in ("verbatim", "findings")}
