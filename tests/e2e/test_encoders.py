"""A foundation model from a folder to a base: trained on, packed, searched and served without its folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dermquery.client import Client
from dermquery.data.case import Case
from dermquery.data.case_table import write_cases
from dermquery.lab.config import load_config
from dermquery.lab.network.eager import load_trained, torch_model
from dermquery.lab.network.network import ComposedNetwork
from dermquery.lab.network.pack import save_model
from dermquery.model.load import load_model
from dermquery.store.casebase import CaseBase
from tests.e2e.conftest import dermquery
from tests.lab.network.vits import MEAN, SIDE, vit_folder
from tests.serve.conftest import serving
from tests.tiny import noise_cases

pytestmark = pytest.mark.slow
FEW_STEPS = (
    "model.width=16", "model.composer.heads=2", "model.regions.count=2", "train.epochs=1", "train.batch_size=8",
    "model.vision.frozen_stages=0",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["ViTModel", "Dinov2Model", "SiglipModel"])
def test_packing_gives_an_artifact_that_computes_the_same_without_the_folder(tmp_path: Path, kind: str) -> None:
    """Of a network as it is built, since every kind is trained alike; the next test trains one."""
    images = [case.image for case in noise_cases(tmp_path / "images", 4)]
    network = ComposedNetwork(load_config("lite", settings(tmp_path, kind, "findings")).model)
    built = torch_model(network, name=kind, labels=("mel", "nv"))
    expected = built.encode_case(images)
    save_model(built, tmp_path / "model", card="")
    for used in ("image", "text"):
        shutil.rmtree(tmp_path / used)
    model = load_model(tmp_path / "model")
    assert (model.config.vision.image_size, model.config.vision.mean) == (SIDE, MEAN)
    np.testing.assert_allclose(model.encode_case(images), expected, atol=1e-3)
    np.testing.assert_allclose(load_trained(tmp_path / "model").encode_case(images), expected, atol=1e-3)


def test_a_base_made_with_an_outside_encoder_is_one_as_any_other(tmp_path: Path) -> None:
    """Both towers of a CLIP: indexed and searched from the command line, and served."""
    artifact, cases = trained(tmp_path, "CLIPModel", "verbatim")
    base = tmp_path / "base"
    dermquery("index", tmp_path / "cases.csv", "--base", base, "--model", artifact)
    asked = ("--image", cases[0].image, "--text", "atypical network", "--top-k", 3, "--json", "-")
    found = json.loads(dermquery("search", "--base", base, *asked).stdout)
    assert next(hit["case_id"] for hit in found["hits"]) == cases[0].case_id, "the very image comes first"
    with serving(CaseBase.open(base), tmp_path / "state", cases) as served, Client(served.url) as client:
        answer = client.search(image=cases[0].image, text="atypical network", top_k=3)
        assert [hit.case.case_id for hit in answer.hits] == [hit["case_id"] for hit in found["hits"]]
        assert client.info().model == load_model(artifact).name


def trained(folder: Path, kind: str, reading: str) -> tuple[Path, list[Case]]:
    """A model after a few steps from a foundation model, whose folder is gone then, and its cases."""
    cases = noise_cases(folder / "images", 20)
    write_cases(cases, table := folder / "cases.csv")
    changes = [word for change in settings(folder, kind, reading) for word in ("--set", change)]
    dermquery("train", table, "--config", "lite", "--out", folder / "run", *changes)
    shutil.rmtree(folder / "image")
    return folder / "run" / "model", cases


def settings(folder: Path, kind: str, reading: str) -> tuple[str, ...]:
    """Of a model on a foundation model in ``folder/image``; both its towers, or a text encoder in ``folder/text``."""
    image = vit_folder(folder / "image", kind)
    text = image if kind == "CLIPModel" else vit_folder(folder / "text", "CLIPModel")
    named = (f"model.vision.backbone={image}", f"model.text.encoder={text}", f"model.text.reading={reading}")
    return (*named, *FEW_STEPS)
