"""Artifacts: what runs is what was hashed, and nothing else is accepted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermquery.data.case import Query
from dermquery.model.artifact import GRAPHS, MANIFEST, ArtifactError, open_artifact, sha256
from dermquery.model.load import load_model

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
