"""Bases of images that were composed with findings (``index --described`` of before): refused, and encoded anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.data.case_table import write_cases
from dermquery.data.image import load_image
from dermquery.store.base_manifest import MANIFEST_FILE, ManifestError
from dermquery.store.casebase import CaseBase
from dermquery.store.export_base import export_base
from dermquery.store.migrate import MigrationError, migrate, tidy
from dermquery.store.places import home_of
from dermquery.store.protocol import StoredCase, packed
from dermquery.store.transfer import copy_base, restore_snapshot, write_snapshot
from dermquery.store.upgrade import upgrade
from tests.store.conftest import make_cases
from tests.store.earlier_bases import bring_images, rows_of, unpack
from tests.store.encoder import ProjectionEncoder


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    return bring_images(unpack(tmp_path), 2)


@pytest.fixture(params=["as it was written", "copied", "restored"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, images: list[Path]) -> Path:
    """The described base of schema 2, and what a copy and a snapshot make of it."""
    old, new = tmp_path / "schema-2", tmp_path / "new"
    if request.param == "as it was written":
        return old
    if request.param == "copied":
        copy_base(old, new)
    else:
        write_snapshot(old, tmp_path / "new.parquet")
        restore_snapshot(tmp_path / "new.parquet", new)
    return new


def stored(uri: Path) -> dict[str, StoredCase]:
    home = home_of(uri)
    return rows_of(home.store(home.manifest()))


def test_search_writing_and_upgrade_are_refused_with_the_remedy(uri: Path, tmp_path: Path) -> None:
    encoder, manifest = ProjectionEncoder(), (uri / MANIFEST_FILE).read_bytes()
    uses: list[Callable[[], object]] = [
        lambda: CaseBase.open(uri),
        lambda: CaseBase.open(uri, encoder),
        lambda: CaseBase.open_or_create(uri, encoder),
        lambda: upgrade(uri),
        lambda: upgrade(uri, encoder),
    ]
    for use in uses:
        with pytest.raises(ManifestError, match=f"indexed with --described.*: dermquery base migrate {uri} --model"):
            use()
    write_cases(make_cases(tmp_path / "own", 1), tmp_path / "cases.csv")
    commands = (
        ["search", "--base", str(uri), "--text", "streaks"],
        ["index", str(tmp_path / "cases.csv"), "--base", str(uri)],
        ["index", str(tmp_path / "cases.csv"), "--base", str(uri), "--dry-run"],
        ["base", "upgrade", str(uri)],
        ["base", "delete", str(uri), "--case", "lésion/0"],
        ["serve", "--base", str(uri)],
    )
    for command in commands:
        failed = CliRunner().invoke(app, command)
        assert failed.exit_code == 2, failed.output
        assert "dermquery base migrate" in failed.stderr
    assert (uri / MANIFEST_FILE).read_bytes() == manifest
    assert stored(uri).keys() == {"lésion/0", "lésion/1", "lésion/2"}


@pytest.mark.parametrize("seed", [0, 1])
def test_a_migration_brings_every_case_over(uri: Path, images: list[Path], seed: int) -> None:
    """Also with the model of before, of which other vectors are wanted."""
    before, encoder = stored(uri), ProjectionEncoder(seed=seed)
    migrate(uri, encoder)
    base = CaseBase.open(uri, encoder)
    assert base.read_only is None
    assert "described" not in json.loads((uri / MANIFEST_FILE).read_text())
    after = rows_of(base.store)
    assert {i: row.case for i, row in after.items()} == {i: row.case for i, row in before.items()}
    for image, case_id in zip(images, sorted(after), strict=True):
        alone = encoder.encode_case([load_image(image)], [after[case_id].case.checklist])[0]
        assert np.array_equal(after[case_id].vector, packed(alone))
    assert base.search(image=images[1]).hits[0].case.case_id == "lésion/1"
    tidy(uri)
    assert CaseBase.open(uri, encoder).count() == 3


def test_without_the_images_nothing_is_lost(uri: Path, images: list[Path], tmp_path: Path) -> None:
    images[1].unlink()
    with pytest.raises(MigrationError, match=r"1 cases cannot be encoded again.*Bring the images back"):
        migrate(uri, ProjectionEncoder())
    assert stored(uri).keys() == {"lésion/0", "lésion/1", "lésion/2"}
    assert export_base(uri, tmp_path / "out").cases == 3
