from __future__ import annotations

import json
from pathlib import Path

import pytest

from dermquery import __version__
from dermquery.store.base_manifest import MANIFEST_FILE, Manifest, ManifestError, ModelMismatchError
from tests.store.encoder import ProjectionEncoder


def test_round_trip(tmp_path: Path, encoder: ProjectionEncoder) -> None:
    manifest = Manifest.of(encoder, "/models/projection")
    manifest.save(tmp_path)
    assert Manifest.load(tmp_path) == manifest
    assert manifest.layout == encoder.layout
    assert manifest.dermquery_version == __version__
    assert manifest.created.utcoffset() is not None
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST_FILE]


def test_preprocessing_is_recorded(encoder: ProjectionEncoder) -> None:
    encoder.preprocessing = {"image_size": 512}  # type: ignore[attr-defined]
    assert Manifest.of(encoder).preprocessing == {"image_size": 512}


def test_another_model_is_refused_with_both_hashes_and_the_remedies(encoder: ProjectionEncoder) -> None:
    manifest, other = Manifest.of(encoder, "/models/projection"), ProjectionEncoder(seed=1)
    manifest.check(ProjectionEncoder())
    with pytest.raises(ModelMismatchError) as caught:
        manifest.check(other)
    message = str(caught.value)
    for part in (encoder.artifact_hash, other.artifact_hash, "--model", "/models/projection", "dermquery base migrate"):
        assert part in message


def test_a_model_without_a_hash_is_refused(encoder: ProjectionEncoder) -> None:
    encoder.artifact_hash = ""
    with pytest.raises(ManifestError, match="save it as an artifact"):
        Manifest.of(encoder)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"is no case base.*dermquery index TABLE --base"):
        Manifest.load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ManifestError, match="is no case base"):
        Manifest.load(tmp_path / "file")


@pytest.mark.parametrize("change", [{"schema_version": 0}, {"width": 0}, {"surprise": 1}, {"created": "2026-01-01"}])
def test_an_unusable_manifest_says_why(tmp_path: Path, encoder: ProjectionEncoder, change: dict[str, object]) -> None:
    Manifest.of(encoder).save(tmp_path)
    path = tmp_path / MANIFEST_FILE
    fields = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps(fields))
    with pytest.raises(ManifestError, match=r"not as it was written; restore it from a backup"):
        Manifest.load(tmp_path)
    path.write_text(json.dumps({name: value for name, value in fields.items() if name != "checksum"}))
    with pytest.raises(ManifestError, match=rf"not describe a case base \({next(iter(change))}: .*from a backup"):
        Manifest.load(tmp_path)


def test_garbage_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match="restore it from a backup"):
        Manifest.load(tmp_path)
    (tmp_path / MANIFEST_FILE).write_text("{")
    with pytest.raises(ManifestError, match="does not describe a case base"):
        Manifest.load(tmp_path)


def test_a_manifest_of_a_later_version_is_refused(encoder: ProjectionEncoder) -> None:
    text = json.dumps(json.loads(Manifest.of(encoder).model_dump_json()) | {"schema_version": 99, "more": 1})
    with pytest.raises(ManifestError, match=r"here describes a case base of schema 99.*; update dermquery"):
        Manifest.read(text, "here")


@pytest.mark.parametrize("described", [False, True])
def test_a_manifest_says_of_composed_images_only_what_is_so(encoder: ProjectionEncoder, described: bool) -> None:
    text = json.dumps(json.loads(Manifest.of(encoder).model_dump_json()) | {"described": described})
    manifest = Manifest.read(text, "here")
    assert (manifest.model_dump().get("described"), json.loads(manifest.model_dump_json()).get("described")) == (
        (True, True) if described else (None, None)
    )
    assert manifest.same_vectors(Manifest.of(encoder)) is not described


def test_rows_stand_in_one_table_if_schema_and_vectors_agree(encoder: ProjectionEncoder) -> None:
    manifest = Manifest.of(encoder)
    earlier = manifest.model_copy(update={"schema_version": 4})
    assert earlier.outdated
    assert earlier.same_vectors(manifest)
    assert not earlier.same_rows(manifest)
    assert earlier.current() == manifest
    assert not manifest.outdated


def test_an_artifact_that_replaces_the_bases_own_is_its_model(encoder: ProjectionEncoder) -> None:
    manifest, repacked = Manifest.of(encoder), ProjectionEncoder(seed=1)
    repacked.replaces = ("another", encoder.artifact_hash)  # type: ignore[attr-defined]
    manifest.check(repacked)
    wider = ProjectionEncoder(width=7)
    wider.replaces = (encoder.artifact_hash,)  # type: ignore[attr-defined]
    with pytest.raises(ModelMismatchError):
        manifest.check(wider)
