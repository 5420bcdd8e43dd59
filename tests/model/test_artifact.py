"""Artifacts: what is saved is what is loaded, and nothing else is accepted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermquery.data.case import Query
from dermquery.lab.network import weights
from dermquery.lab.network.network import ComposedNetwork
from dermquery.model.artifact import ArtifactError, Manifest, load_model, save_model
from dermquery.model.encoder import ComposedModel
from tests.tiny import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ComposedModel:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8))


def test_loaded_model_encodes_alike_without_hub_or_source_folder(
    model: ComposedModel, tmp_path: Path, image: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = save_model(model, tmp_path / "a", card="# card")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    loaded = load_model(tmp_path / "a")
    query = Query(image=image, checklist={"streaks": "irregular"})
    assert loaded.artifact_hash == expected
    assert (loaded.name, loaded.labels, loaded.layout) == (model.name, model.labels, model.layout)
    np.testing.assert_allclose(loaded.encode_case([image]), model.encode_case([image]), atol=1e-6)
    np.testing.assert_allclose(loaded.encode_query([query]), model.encode_query([query]), atol=1e-6)


def test_half_precision_halves_the_file_and_keeps_the_vectors(
    model: ComposedModel, tmp_path: Path, image: Image.Image
) -> None:
    save_model(model, tmp_path / "full", card="")
    save_model(model, tmp_path / "half", card="", half=True)
    sizes = [(tmp_path / kind / "weights.safetensors").stat().st_size for kind in ("half", "full")]
    assert sizes[0] < 0.65 * sizes[1]
    cosine = (load_model(tmp_path / "half").encode_case([image]) * model.encode_case([image])).sum() / 6
    assert cosine > 0.9999


def test_saving_twice_gives_the_same_hash(model: ComposedModel, tmp_path: Path) -> None:
    assert save_model(model, tmp_path / "a", card="c") == save_model(model, tmp_path / "b", card="c")


@pytest.mark.parametrize("file", ["weights.safetensors", "tokenizer.json", "README.md"])
def test_changed_or_missing_file_is_refused(model: ComposedModel, tmp_path: Path, file: str) -> None:
    save_model(model, tmp_path, card="card")
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[:-1] + b"!")
    with pytest.raises(ArtifactError, match=f"{file} is not the file"):
        load_model(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(ArtifactError, match=f"{file} is missing"):
        load_model(tmp_path)


def test_unknown_format_is_refused(model: ComposedModel, tmp_path: Path) -> None:
    save_model(model, tmp_path, card="card")
    manifest = json.loads((tmp_path / "artifact.json").read_text())
    (tmp_path / "artifact.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(ArtifactError, match="not readable by this version"):
        load_model(tmp_path)


def test_missing_model_lists_the_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model at .*nowhere.*shipped model"):
        load_model(tmp_path / "nowhere")


def test_only_a_frozen_package_encoder_can_be_left_out(model: ComposedModel, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="minilm"):
        save_model(model, tmp_path, card="", reference_text=True)


def test_artifact_holds_no_pickle(model: ComposedModel, tmp_path: Path) -> None:
    save_model(model, tmp_path, card="card")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "README.md",
        "artifact.json",
        "tokenizer.json",
        "weights.safetensors",
    ]


def test_the_network_is_built_at_its_first_use_of_files_that_are_checked_again(
    model: ComposedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(model, tmp_path, card="card")
    loaded, again = load_model(tmp_path), load_model(tmp_path)
    built: list[str] = []
    build = weights.build_network

    def counted(folder: Path, manifest: Manifest, device: str) -> ComposedNetwork:
        built.append(device)
        return build(folder, manifest, device)

    monkeypatch.setattr(weights, "build_network", counted)
    assert loaded.layout.size == 6 * 16
    assert loaded.preprocessing["image_size"] == 64
    assert built == []
    assert loaded.network is loaded.network
    assert len(built) == 1
    content = (tmp_path / "weights.safetensors").read_bytes()
    (tmp_path / "weights.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtifactError, match="is not the file"):
        again.encode_query([Query(text="streaks")])


def test_a_tokenizer_that_was_replaced_since_loading_is_refused(model: ComposedModel, tmp_path: Path) -> None:
    save_model(model, tmp_path, card="card")
    loaded = load_model(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps(content | {"added_tokens": []}))
    with pytest.raises(ArtifactError, match=r"tokenizer\.json is not the file"):
        loaded.encode_query([Query(text="atypical network")])


@pytest.mark.parametrize("file", ["weights.safetensors", "tokenizer.json"])
def test_a_manifest_that_leaves_a_file_out_is_refused(model: ComposedModel, tmp_path: Path, file: str) -> None:
    save_model(model, tmp_path, card="card")
    manifest = json.loads((tmp_path / "artifact.json").read_text())
    del manifest["files"][file]
    (tmp_path / "artifact.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=f"artifact.json says nothing of {file}; copy the folder again"):
        load_model(tmp_path)
