"""Heads and turn in an artifact: packed once, and read alike by every runtime."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.data.case import Query
from dermquery.lab.network.eager import load_trained
from dermquery.lab.network.pack import save_model
from dermquery.model.artifact import MANIFEST, ArtifactError, open_artifact
from dermquery.model.heads import VALUES, asked_values
from dermquery.model.load import load_model
from dermquery.model.parts import PAPER
from dermquery.model.readout import Readout, read_heads_file, write_heads_file
from tests.model.heads import DIAGNOSES, random_readout
from tests.tiny import tiny_model

IMAGES = [Image.fromarray(np.random.default_rng(i).integers(0, 255, (90, 120, 3), dtype=np.uint8)) for i in range(3)]
CHECKLISTS: list[dict[str, str]] = [{}, {"streaks": "absent"}, {"streaks": "irregular", "pigment_network": "atypical"}]
QUERIES = [Query(image=IMAGES[0], text="no streaks"), Query(text="atypical network"), Query(image=IMAGES[1])]
FEATURES, BLOCKS, WIDTH = 24 + 48 + 96, 6, 16


@pytest.fixture(scope="module")
def readout() -> Readout:
    return random_readout(FEATURES, BLOCKS, WIDTH, turned=8)


@pytest.fixture(scope="module")
def with_heads(readout: Readout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heads")
    model = tiny_model(folder / "source", reading="findings")
    save_model(model, folder / "model", card="# card", readout=readout)
    return folder / "model"


@pytest.mark.parametrize("runtime", ["openvino-f32", "onnxruntime", "torch"])
def test_three_parts_of_cases_and_queries(
    with_heads: Path, packed: Mapping[str, Path], readout: Readout, runtime: str
) -> None:
    model, plain = load_model(with_heads, runtime), load_model(packed["findings"], runtime)
    assert (model.layout.diagnoses, model.layout.look, model.layout.blocks.width) == (3, 6, 8)
    assert model.layout.size == 6 * 8 + 3 + 28 + 6
    assert set(model.presets) == {"balanced", "paper", "same findings", "look-alikes"}
    heads = readout.heads
    assert heads is not None
    pooled = model._features(IMAGES).pooled
    assert pooled is not None
    cases = model.layout.split(model.encode_case(IMAGES, CHECKLISTS))
    np.testing.assert_allclose(cases["posterior"], heads.belief(pooled), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(cases["look"], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(cases["findings"].sum(axis=1), 7, atol=1e-5)
    assert cases["findings"][1, VALUES.index(("streaks", "absent"))] == 1
    assert 0 < cases["findings"][0, VALUES.index(("streaks", "absent"))] < 1
    # The blocks are those of the model without heads, turned.
    assert plain.layout.diagnoses == plain.layout.look == 0
    whole = plain.layout.split(plain.encode_case(IMAGES))["blocks"]
    np.testing.assert_allclose(cases["blocks"], readout.turned(whole.reshape(3, 6, 16)), atol=1e-5)
    np.testing.assert_array_equal(model.encode_case(IMAGES)[0], model.encode_case(IMAGES, CHECKLISTS)[0])

    asked = model.layout.split(model.encode_query(QUERIES))
    terms = [query.terms for query in QUERIES]
    np.testing.assert_array_equal(asked["findings"], asked_values(terms))
    np.testing.assert_array_equal(asked["look"][1], 0)
    np.testing.assert_allclose(asked["look"][[0, 2]], cases["look"][[0, 1]], atol=1e-5)
    np.testing.assert_allclose(asked["posterior"][1], heads.belief(None, terms[1:2])[0], atol=1e-5)
    np.testing.assert_allclose(asked["posterior"][0], heads.belief(pooled[:1], terms[:1])[0], atol=1e-5)


def test_a_model_without_heads_has_the_recorded_findings_only(packed: Mapping[str, Path]) -> None:
    model = load_model(packed["findings"])
    cases = model.layout.split(model.encode_case(IMAGES, CHECKLISTS))
    np.testing.assert_array_equal(cases["findings"].sum(axis=1), [0, 1, 2])
    assert model.presets == {"paper": PAPER, "same findings": model.presets["same findings"]}


def test_packing_again_keeps_the_heads_and_other_heads_replace_nothing(with_heads: Path, tmp_path: Path) -> None:
    loaded = load_trained(with_heads)
    save_model(loaded, tmp_path / "again", card="another card")
    again = load_model(tmp_path / "again")
    assert again.replaces == (loaded.artifact_hash,)
    np.testing.assert_allclose(again.encode_case(IMAGES), load_model(with_heads).encode_case(IMAGES), atol=1e-6)
    save_model(loaded, tmp_path / "without", card="", readout=Readout())
    bare = load_model(tmp_path / "without")
    assert (bare.replaces, bare.layout.look) == ((), 0)


def test_heads_that_do_not_fit_are_refused(readout: Readout, tmp_path: Path, with_heads: Path) -> None:
    wide = replace(readout, turn=np.zeros((6, 12, 8), np.float32))
    model = load_trained(with_heads)
    with pytest.raises(ValueError, match=r"the turn has shape \(6, 12, 8\), expected \(6, 16, w\)"):
        save_model(model, tmp_path / "wide", card="", readout=wide)
    few = random_readout(FEATURES - 1, BLOCKS, WIDTH)
    with pytest.raises(ValueError, match=r"heads read 167 features, and this model's backbone gives 168"):
        save_model(model, tmp_path / "few", card="", readout=few)
    copied = Path(shutil.copytree(with_heads, tmp_path / "copied"))
    manifest = json.loads((copied / MANIFEST).read_text())
    (copied / MANIFEST).write_text(json.dumps({**manifest, "diagnoses": ["mel"]}))
    with pytest.raises(ArtifactError, match=r"heads\.safetensors does not fit this model \(heads: diagnosis has shape"):
        load_model(copied)
    (copied / "heads.safetensors").write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match=r"heads\.safetensors is not the file that was saved"):
        load_model(copied)


def test_pack_takes_heads_from_a_file(readout: Readout, packed: Mapping[str, Path], tmp_path: Path) -> None:
    seen = np.random.default_rng(0).integers(0, 256, (3, 32), np.uint8)
    write_heads_file(tmp_path / "heads.safetensors", replace(readout, trained_on=seen))
    back = read_heads_file(tmp_path / "heads.safetensors")
    assert back.presets == readout.presets
    assert {n: v.tolist() for n, v in back.tensors.items()} == {n: v.tolist() for n, v in readout.tensors.items()}
    line = ["pack", str(packed["findings"]), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*line, "--heads", str(tmp_path / "heads.safetensors")])
    assert done.exit_code == 0, done.output
    manifest = open_artifact(tmp_path / "out").manifest
    assert (manifest.diagnoses, manifest.presets) == (DIAGNOSES, readout.presets)
    known = {row.tobytes() for row in load_model(tmp_path / "out").trained_on}
    assert {row.tobytes() for row in seen} <= known, "what heads were fitted on is no new image either"
    (tmp_path / "wrong").write_bytes(b"{}")
    failed = CliRunner().invoke(
        app, ["pack", line[1], "--out", str(tmp_path / "x"), "--heads", str(tmp_path / "wrong")]
    )
    assert failed.exit_code == 2
    assert "holds no heads" in failed.output.replace("\n", " ")
