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


@pytest.mark.parametrize("change", [{"schema_version": 4}, {"width": 0}, {"surprise": 1}, {"created": "2026-01-01"}])
def test_an_unusable_manifest_says_why(tmp_path: Path, encoder: ProjectionEncoder, change: dict[str, object]) -> None:
    Manifest.of(encoder).save(tmp_path)
    path = tmp_path / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ManifestError, match=rf"schema version 5 \({next(iter(change))}: .*index the case table again"):
        Manifest.load(tmp_path)


def test_garbage_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match="restore it from a backup"):
        Manifest.load(tmp_path)
    (tmp_path / MANIFEST_FILE).write_text("{")
    with pytest.raises(ManifestError, match="does not describe a case base"):
        Manifest.load(tmp_path)


@pytest.mark.parametrize(("version", "since", "legal"), [(4, 4, True), (4, 5, False), (3, 4, False), (6, 4, False)])
def test_rows_that_did_not_change_with_the_schema_can_be_read(version: int, since: int, legal: bool) -> None:
    manifest = Manifest.of(ProjectionEncoder())
    text = json.dumps(json.loads(manifest.model_dump_json()) | {"schema_version": version})
    if legal:
        assert Manifest.read(text, "here", since) == manifest
    else:
        with pytest.raises(ManifestError, match="here does not describe a case base of schema version 5"):
            Manifest.read(text, "here", since)
