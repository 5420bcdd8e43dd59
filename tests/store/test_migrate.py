"""A base encoded again with another model: atomic, resumable, and without a file that has gone meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermquery.data.case import Case
from dermquery.data.image import load_image
from dermquery.model.alignment import Vectors
from dermquery.store.base_manifest import ManifestError, ModelMismatchError
from dermquery.store.casebase import CaseBase
from dermquery.store.ingest import IngestProgress
from dermquery.store.migrate import MigrationError, migrate, tidy
from dermquery.store.places import home_of
from dermquery.store.protocol import packed
from tests.store.conftest import draw_lesion, make_cases
from tests.store.encoder import Checklists, ProjectionEncoder

OTHER = ProjectionEncoder(seed=5, width=9)


@pytest.fixture
def own_cases(tmp_path: Path) -> list[Case]:
    return make_cases(tmp_path / "own", 12)


@pytest.fixture(params=["folder", "milvus"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, own_cases: list[Case]) -> str:
    """A filled base in either place."""
    where = str(tmp_path / "base") if request.param == "folder" else request.getfixturevalue("milvus_uri")
    CaseBase.create(where, ProjectionEncoder(), images=str(tmp_path / "images")).add(own_cases)
    return where


def stop_after(n: int) -> Callable[[IngestProgress], None]:
    def progress(state: IngestProgress) -> None:
        if state.done >= n:
            raise KeyboardInterrupt

    return progress


def check_encoded(base: CaseBase, encoder: ProjectionEncoder, pictures: Sequence[bytes | Path]) -> None:
    rows = base.store.get(base.store.ids())
    for row, picture in zip((rows[i] for i in sorted(rows)), pictures, strict=True):
        expected = encoder.encode_case([load_image(picture)], [row.case.checklist])[0]
        assert np.array_equal(row.vector, packed(expected))


def test_the_new_version_takes_the_place_of_the_old(uri: str, own_cases: list[Case]) -> None:
    reader = CaseBase.open(uri, ProjectionEncoder())
    before = reader.store.get(reader.store.ids())
    done, report = migrate(uri, OTHER)
    assert (report.added, report.bad) == (12, ())
    again = CaseBase.open(uri, OTHER)
    assert again.manifest.version == done.manifest.version == 2
    check_encoded(again, OTHER, [case.image for case in own_cases])
    after = again.store.get(again.store.ids(), vectors=False)
    assert {i: (row.case, row.stamp) for i, row in after.items()} == {i: (r.case, r.stamp) for i, r in before.items()}
    assert again.search(image=own_cases[3].image).hits[0].case == own_cases[3]
    with pytest.raises(ModelMismatchError):
        CaseBase.open(uri, ProjectionEncoder())
    assert reader.search(image=own_cases[3].image).hits[0].case == own_cases[3], "an open reader keeps the old version"
    for write in (lambda: reader.add(own_cases[:1]), lambda: reader.delete(["case-000"])):
        with pytest.raises(ManifestError, match="or upgraded since it was opened: it is at version 2, this is 1"):
            write()
    assert tidy(uri)[0] == 1
    assert again.search(image=own_cases[3].image).hits[0].case == own_cases[3]


def test_a_migration_that_was_cut_off_goes_on(uri: str, own_cases: list[Case]) -> None:
    with pytest.raises(KeyboardInterrupt):
        migrate(uri, OTHER, batch_size=4, progress=stop_after(4))
    assert CaseBase.open(uri, ProjectionEncoder()).search(image=own_cases[0].image).hits[0].case == own_cases[0]
    fresh = ProjectionEncoder(seed=5, width=9)
    _, report = migrate(uri, fresh, batch_size=4)
    assert 0 < fresh.encoded < 12
    assert report.added + report.unchanged == 12
    check_encoded(CaseBase.open(uri, OTHER), OTHER, [case.image for case in own_cases])


def test_what_writers_change_meanwhile_is_encoded_too(uri: str, own_cases: list[Case]) -> None:
    old = CaseBase.open(uri, ProjectionEncoder()).store
    told: list[IngestProgress] = []

    def writer(state: IngestProgress) -> None:
        told.append(state)
        if len(told) == 1:  # the first batch is in the new version already
            rows = old.get(["case-000", "case-001"])
            moved = rows["case-000"].case.model_copy(update={"site": "scalp"})
            new = rows["case-001"].case.model_copy(update={"case_id": "new"})
            old.upsert([replace(rows["case-000"], case=moved), replace(rows["case-001"], case=new)])
            old.delete(["case-002"])

    done, report = migrate(uri, OTHER, batch_size=4, progress=writer)
    assert (report.added, report.bad) == (13, ())
    assert done.store.ids() == sorted({case.case_id for case in own_cases} - {"case-002"} | {"new"})
    rows = done.store.get(["case-000", "case-001", "new"])
    assert rows["case-000"].case.site == "scalp"
    assert np.array_equal(rows["new"].vector, rows["case-001"].vector)


def test_a_base_that_never_stops_changing_is_left_alone(uri: str) -> None:
    old = CaseBase.open(uri, ProjectionEncoder()).store
    ages = itertools.count(1)

    def writer(_: IngestProgress) -> None:
        (row,) = old.get(["case-000"]).values()
        old.upsert([replace(row, case=row.case.model_copy(update={"age": float(next(ages))}))])

    with pytest.raises(MigrationError, match="stop what writes to it, and run the command again"):
        migrate(uri, OTHER, progress=writer)
    assert CaseBase.open(uri, ProjectionEncoder()).manifest.version == 1


def test_the_beginning_with_yet_another_model_is_dropped(uri: str, own_cases: list[Case]) -> None:
    with pytest.raises(KeyboardInterrupt):
        migrate(uri, ProjectionEncoder(seed=8), batch_size=4, progress=stop_after(4))
    migrate(uri, OTHER)
    check_encoded(CaseBase.open(uri, OTHER), OTHER, [case.image for case in own_cases])


def test_images_come_from_the_archive(uri: str, own_cases: list[Case]) -> None:
    pictures = [case.image.read_bytes() for case in own_cases]
    for case in own_cases:
        case.image.unlink()
    migrate(uri, OTHER)
    check_encoded(CaseBase.open(uri, OTHER), OTHER, pictures)


def test_without_archive_a_lost_image_stops_the_switch(tmp_path: Path, own_cases: list[Case]) -> None:
    base = CaseBase.create(tmp_path / "plain", ProjectionEncoder(), images=False)
    base.add(own_cases)
    own_cases[4].image.unlink()
    with pytest.raises(MigrationError, match=r"1 cases cannot be encoded again.*004\.png.*--skip-bad"):
        migrate(tmp_path / "plain", OTHER)
    assert CaseBase.open(tmp_path / "plain", ProjectionEncoder()).count() == 12
    done, report = migrate(tmp_path / "plain", OTHER, skip_bad=True)
    assert (len(done), len(report.bad)) == (11, 1)


def test_a_case_deleted_between_two_attempts_does_not_come_back(tmp_path: Path, own_cases: list[Case]) -> None:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    base.add(own_cases)
    with pytest.raises(KeyboardInterrupt):
        migrate(tmp_path / "base", OTHER, batch_size=4, progress=stop_after(8))
    base.delete([own_cases[0].case_id])
    done, _ = migrate(tmp_path / "base", OTHER)
    assert done.store.ids() == [case.case_id for case in own_cases[1:]]


def test_the_same_model_has_nothing_to_do(tmp_path: Path) -> None:
    CaseBase.create(tmp_path / "base", ProjectionEncoder())
    with pytest.raises(ManifestError, match="was encoded with model 'projection-0' already"):
        migrate(tmp_path / "base", ProjectionEncoder())


def test_a_second_migration_follows(tmp_path: Path, own_cases: list[Case]) -> None:
    CaseBase.create(tmp_path / "base", ProjectionEncoder()).add(own_cases)
    migrate(tmp_path / "base", OTHER)
    migrate(tmp_path / "base", ProjectionEncoder(seed=6))
    base = CaseBase.open(tmp_path / "base", ProjectionEncoder(seed=6))
    assert (base.manifest.version, base.count()) == (3, 12)
    assert tidy(tmp_path / "base") == (2, 0)


def test_tidy_removes_the_images_that_no_case_names(tmp_path: Path, own_cases: list[Case]) -> None:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    base.add(own_cases)
    base.delete([own_cases[0].case_id, own_cases[1].case_id])
    draw_lesion(own_cases[2].image, 77)
    base.add(own_cases[2:3])
    assert tidy(tmp_path / "base") == (0, 3)
    assert base.archive is not None
    assert {row.stamp.sha256 for row in base.store.get(base.store.ids()).values()} == set(base.archive.names())


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="is no case base"):
        migrate(tmp_path / "nowhere", OTHER)
    assert not home_of(tmp_path / "nowhere").exists()


class Broken(ProjectionEncoder):
    def encode_case(self, images: Sequence[Image.Image], checklists: Checklists = None) -> Vectors:
        return super().encode_case(images, checklists)[:, :-1]


def test_a_model_that_fails_changes_nothing(tmp_path: Path, own_cases: list[Case]) -> None:
    CaseBase.create(tmp_path / "base", ProjectionEncoder()).add(own_cases)
    with pytest.raises(ValueError, match="gave vectors of shape"):
        migrate(tmp_path / "base", Broken(seed=9))
    assert CaseBase.open(tmp_path / "base", ProjectionEncoder()).count() == 12
