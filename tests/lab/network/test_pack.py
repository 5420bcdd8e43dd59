"""Packing: an artifact appears whole and checked or not at all, and older ones are brought up to date."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from dermquery.data.case import Query
from dermquery.lab.network import parity
from dermquery.lab.network.eager import load_trained, network_of
from dermquery.lab.network.pack import save_model
from dermquery.lab.network.parity import ParityError
from dermquery.model.artifact import GRAPHS, ArtifactError, Manifest, Storage, open_artifact
from dermquery.model.encoder import ComposedModel
from dermquery.model.load import load_model
from dermquery.model.sentences import closed_vocabulary
from tests.tiny import tiny_model

QUERIES = [Query(text="no streaks"), Query(checklist={"streaks": "irregular"})]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ComposedModel:
    return tiny_model(tmp_path_factory.mktemp("tiny"), reading="findings")


@pytest.fixture(scope="module")
def saved(model: ComposedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    save_model(model, folder, card="# card")
    return folder


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8))


def test_the_saved_model_encodes_alike_without_hub_or_source_folder(
    model: ComposedModel, saved: Path, image: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    queries = [Query(image=image, checklist={"streaks": "irregular"}), *QUERIES]
    for loaded in (load_model(saved), load_trained(saved)):
        assert loaded.artifact_hash == open_artifact(saved).hash
        assert (loaded.name, loaded.labels, loaded.layout) == (model.name, model.labels, model.layout)
        np.testing.assert_allclose(loaded.encode_case([image]), model.encode_case([image]), atol=1e-4)
        np.testing.assert_allclose(loaded.encode_query(queries), model.encode_query(queries), atol=1e-4)


def test_graphs_hold_no_weights_of_their_own(saved: Path) -> None:
    """Every weight of the network in a graph is the place of that weight in the weights' file, to the bit."""
    weights, seen = load_file(saved / "weights.safetensors"), set()
    content = (saved / "weights.safetensors").read_bytes()
    for graph in GRAPHS:
        for tensor in onnx.load(saved / graph, load_external_data=False).graph.initializer:
            name = tensor.name.removeprefix("network.")
            if name in weights:
                place = {entry.key: entry.value for entry in tensor.external_data}
                start, length = int(place["offset"]), int(place["length"])
                assert content[start : start + length] == weights[name].tobytes()
                seen.add(name)
    held = {weights[name].tobytes() for name in seen}  # the exporter keeps one of several equal weights
    for name in set(weights) - seen:
        apart = name.startswith(("text.encoder.", "null_")) or name.endswith("num_batches_tracked")
        assert apart or weights[name].tobytes() in held, name


def test_the_table_holds_what_the_text_encoder_gives(model: ComposedModel, saved: Path) -> None:
    held, sentences = load_file(saved / "embeddings.safetensors"), closed_vocabulary(model.config.text)
    text = network_of(model).text
    with torch.inference_mode():
        for i, sentence in enumerate(sentences):
            states, mask = text([sentence])
            assert held["lengths"][i] == mask.sum()
            np.testing.assert_allclose(held["states"][i, : held["lengths"][i]], states[0].numpy(), atol=1e-5)


@pytest.mark.parametrize(("storage", "size", "alike"), [("float16", 0.65, 0.9999), ("int8", 0.4, 0.999)])
def test_fewer_bits_make_the_file_small_and_keep_the_vectors(
    model: ComposedModel, saved: Path, tmp_path: Path, image: Image.Image, storage: Storage, size: float, alike: float
) -> None:
    before = {name: value.clone() for name, value in network_of(model).state_dict().items()}
    save_model(model, tmp_path / "small", card="", storage=storage)
    sizes = [(folder / "weights.safetensors").stat().st_size for folder in (tmp_path / "small", saved)]
    assert sizes[0] < size * sizes[1]
    runs = load_model(tmp_path / "small").encode_case([image])
    assert (runs * model.encode_case([image])).sum() / 6 > alike
    np.testing.assert_allclose(load_trained(tmp_path / "small").encode_case([image]), runs, atol=2e-3)
    for name, value in network_of(model).state_dict().items():
        assert torch.equal(value, before[name]), "the model that was saved stays as it was"


def test_saving_twice_gives_the_same_hash(model: ComposedModel, saved: Path, tmp_path: Path) -> None:
    assert save_model(model, tmp_path / "again", card="# card") == open_artifact(saved).hash


def test_a_graph_that_computes_something_else_leaves_no_artifact(
    model: ComposedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = network_of(model)
    whole = network.pooled

    def other(maps: tuple[torch.Tensor, ...]) -> object:
        # What the tracer sees is turned round; what PyTorch runs afterwards is not.
        found = whole(maps)
        return found._replace(blocks=found.blocks.flip(1)) if torch._C._is_tracing() else found

    monkeypatch.setattr(network, "pooled", other)
    with pytest.raises(ParityError, match="follow the network with a cosine of"):
        save_model(model, tmp_path / "model", card="")
    assert list(tmp_path.iterdir()) == []


def test_parity_notices_another_order_of_the_ten_best() -> None:
    rng = np.random.default_rng(0)
    blocks = [rng.standard_normal((n, 2, 8)).astype(np.float32) for n in (30, 4, 3)]
    unit = tuple(b / np.linalg.norm(b, axis=-1, keepdims=True) for b in blocks)
    assert parity._same_best(unit, unit)
    assert not parity._same_best((unit[0][::-1], *unit[1:]), unit)


def test_only_a_frozen_package_encoder_can_be_left_out(model: ComposedModel, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="minilm"):
        save_model(model, tmp_path, card="", reference_text=True)


def test_an_artifact_holds_no_pickle(saved: Path) -> None:
    kinds = {path.suffix for path in saved.iterdir()}
    assert kinds == {".json", ".onnx", ".safetensors", ".md"}


def test_an_artifact_of_the_first_format_is_brought_up_to_date(saved: Path, tmp_path: Path, image: Image.Image) -> None:
    """What an earlier version wrote: weights, tokenizer and card."""
    old = tmp_path / "old"
    old.mkdir()
    manifest = json.loads((saved / "artifact.json").read_text())
    files = ("weights.safetensors", "tokenizer.json", "README.md")
    for name in files:
        (old / name).write_bytes((saved / name).read_bytes())
    kept = set(Manifest.model_fields) - {"sentences", "bf16", "replaces"}
    written = {k: v for k, v in manifest.items() if k in kept} | {"format": 1}
    written["files"] = {name: manifest["files"][name] for name in files}
    (old / "artifact.json").write_text(json.dumps(written))
    with pytest.raises(ArtifactError, match="dermquery pack"):
        load_model(old)
    before = load_trained(old)
    save_model(before, tmp_path / "new", card="")
    after = load_model(tmp_path / "new")
    assert after.replaces == (before.artifact_hash,)
    np.testing.assert_allclose(after.encode_case([image]), before.encode_case([image]), atol=1e-4)
    save_model(load_trained(tmp_path / "new"), tmp_path / "newer", card="another")
    assert load_model(tmp_path / "newer").replaces == (before.artifact_hash, after.artifact_hash)


def test_weights_that_change_after_opening_build_no_network(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in saved.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    model = load_model(folder, runtime="torch")
    content = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=r"weights\.safetensors is not the file"):
        model.encode_query(QUERIES)
