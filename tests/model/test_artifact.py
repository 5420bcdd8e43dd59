"""Artifacts: what runs is what was hashed, and nothing else is accepted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import BaseModel

from dermquery.data.case import Query
from dermquery.model.architecture import ModelConfig
from dermquery.model.artifact import GRAPHS, MANIFEST, ArtifactError, Manifest, open_artifact, sha256
from dermquery.model.load import load_model
from dermquery.store.base_manifest import Manifest as BaseManifest

FILES = (*GRAPHS, "weights.safetensors", "embeddings.safetensors", "README.md")
IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8))


@pytest.fixture
def copied(packed: Mapping[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed["findings"], tmp_path / "copied"))


def damaged(content: bytes, how: str, other: bytes) -> bytes:
    return {
        "a flipped bit": content[: len(content) // 2]
        + bytes([content[len(content) // 2] ^ 1])
        + content[len(content) // 2 + 1 :],
        "cut short": content[:-1],
        "longer": content + b"\0",
        "empty": b"",
        "foreign": other,
    }[how]


@pytest.mark.parametrize("how", ["a flipped bit", "cut short", "longer", "empty", "foreign"])
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_is_refused_by_name(copied: Path, file: str, how: str) -> None:
    foreign = (copied / ("README.md" if file != "README.md" else MANIFEST)).read_bytes()
    (copied / file).write_bytes(damaged((copied / file).read_bytes(), how, foreign))
    with pytest.raises(ArtifactError, match=f"{file} is not the file that was saved with this model"):
        load_model(copied)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_refused_by_name(copied: Path, file: str) -> None:
    (copied / file).unlink()
    with pytest.raises(ArtifactError, match=f"{file} is missing; copy the whole folder again"):
        load_model(copied)


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_changes_after_loading_gives_no_vector(copied: Path, file: str) -> None:
    """Also one of the right length that the runtime would take: a weight in which one bit is another."""
    if file == "README.md":
        pytest.skip("nothing reads it")
    model = load_model(copied)
    content = bytearray((copied / file).read_bytes())
    content[-1] ^= 1
    (copied / file).write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match=file):
        model.encode_query([Query(image=IMAGE, text="no streaks")])


@pytest.mark.parametrize("file", ["image.onnx", "weights.safetensors", "embeddings.safetensors"])
def test_a_manifest_that_leaves_a_file_out_is_refused(copied: Path, file: str) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    del manifest["files"][file]
    (copied / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=rf"artifact\.json says nothing of {file}; copy the folder again"):
        load_model(copied)


def test_an_unknown_format_is_refused(copied: Path) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    (copied / MANIFEST).write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(ArtifactError, match="not readable by this version"):
        load_model(copied)


def test_an_artifact_without_graphs_names_the_command(copied: Path) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    (copied / MANIFEST).write_text(json.dumps({**manifest, "format": 1}))
    with pytest.raises(ArtifactError, match=r"dermquery pack .*copied --out NEW_FOLDER"):
        load_model(copied)


def test_a_missing_model_lists_the_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model at .*nowhere.*shipped model"):
        load_model(tmp_path / "nowhere")


def test_a_verbatim_artifact_carries_its_encoder_and_a_closed_one_its_table(packed: Mapping[str, Path]) -> None:
    verbatim, findings = (open_artifact(packed[reading]).manifest for reading in ("verbatim", "findings"))
    assert {"text.onnx", "tokenizer.json"} <= set(verbatim.needed)
    assert verbatim.sentences == ()
    assert "text.onnx" not in findings.files
    assert len(findings.sentences) == 28


def test_a_graph_of_another_model_is_refused_though_the_manifest_names_it(
    copied: Path, packed: Mapping[str, Path]
) -> None:
    """Whoever edits the manifest too still gets no vector and no traceback of a runtime."""
    (copied / "image.onnx").write_bytes(b"no graph at all")
    manifest = json.loads((copied / MANIFEST).read_text())
    manifest["files"]["image.onnx"] = sha256(b"no graph at all")
    (copied / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"image\.onnx cannot be run .*do not belong together"):
        load_model(copied).encode_case([IMAGE])


def leaf_numbers(section: BaseModel, path: str = "model") -> list[str]:
    """Where the numbers of a configuration stand."""
    found = []
    for name, value in section:
        if isinstance(value, BaseModel):
            found += leaf_numbers(value, f"{path}.{name}")
        elif isinstance(value, tuple):
            found += [f"{path}.{name}.{i}" for i, one in enumerate(value) if isinstance(one, float)]
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append(f"{path}.{name}")
    return found


SIZES = leaf_numbers(ModelConfig())


@pytest.mark.parametrize("value", [10**9, 10**300, -1, float("nan")])
@pytest.mark.parametrize("place", SIZES)
def test_a_size_that_no_model_has_is_refused_by_its_value(copied: Path, place: str, value: float) -> None:
    change(copied, place, value)
    with pytest.raises(ArtifactError, match=rf"artifact\.json is not readable .*{place}: .*, got {str(value)[:9]}"):
        load_model(copied)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("model.width", 64, r"\(3, 64\) for levels and width, and embeddings\.safetensors has \(3, 16\)"),
        ("model.levels", ["low", "high"], r"\(2, 16\) for levels and width"),
        ("model.vision.image_size", 224, r"256 for decoded pixels a side, and image\.onnx has"),
    ],
)
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_a_size_that_another_model_has_is_refused(
    copied: Path, place: str, value: object, said: str, runtime: str
) -> None:
    change(copied, place, value)
    with pytest.raises(ArtifactError, match=f"{said}.*do not belong together"):
        load_model(copied, runtime).encode_case([IMAGE])


@pytest.mark.parametrize("schema", [Manifest, BaseManifest])
def test_every_number_of_a_manifest_has_bounds(schema: type[BaseModel]) -> None:
    """None can ask for more memory than there is, or overflow."""
    free = [place for place, node in numbers(schema.model_json_schema()) if not bounded(node)]
    assert free == []


def change(folder: Path, place: str, value: object) -> None:
    """Write another value into the manifest of an artifact."""
    manifest = json.loads((folder / MANIFEST).read_text())
    node, (*way, last) = manifest, place.split(".")
    for step in way:
        node = node[int(step) if isinstance(node, list) else step]
    node[int(last) if isinstance(node, list) else last] = value
    (folder / MANIFEST).write_text(json.dumps(manifest))


def numbers(node: object, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every number in a JSON schema, and where it stands."""
    if isinstance(node, dict):
        if node.get("type") in ("integer", "number"):
            yield place, node
        for name, inner in node.items():
            yield from numbers(inner, f"{place}/{name}")
    elif isinstance(node, list):
        for i, inner in enumerate(node):
            yield from numbers(inner, f"{place}/{i}")


def bounded(node: dict[str, Any]) -> bool:
    """Whether a number has a least and a greatest value."""
    return "enum" in node or {key.replace("exclusiveM", "m") for key in node} >= {"minimum", "maximum"}
