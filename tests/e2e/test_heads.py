"""From a trained model to a base that answers in three parts, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dermquery.data.case_table import read_cases
from dermquery.lab.data.folds import Folds
from dermquery.lab.network.eager import load_trained
from dermquery.model.load import load_model
from dermquery.model.parts import PAPER
from tests.e2e.conftest import World, dermquery

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def headed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heads")
    fitted = ("fit-heads", world.model, "--data", world.table, "--folds", world.folds, "--also", world.table)
    said = dermquery(*fitted, "--width", 8, "--out", folder / "heads.safetensors").stdout
    assert "log_loss" in said
    assert "calibration_error" in said
    dermquery(
        "pack", world.model, "--heads", folder / "heads.safetensors", "--out", folder / "model", "--name", "headed"
    )
    return folder


def test_a_headed_model_answers_in_three_parts(world: World, headed: Path) -> None:
    base = headed / "base"
    dermquery("index", world.table, "--base", base, "--model", headed / "model")
    case = read_cases(world.table).cases[3]
    search = ("search", "--base", base, "--image", case.image, "--text", "atypical network", "--top-k", 4)
    answers = {}
    for preset in ("balanced", "paper", "same findings", "look-alikes"):
        dermquery(*search, "--preset", preset, "--json", headed / "answer.json")
        answers[preset] = json.loads((headed / "answer.json").read_text("utf-8"))
        assert answers[preset]["query"]["preset"] == preset
        first = answers[preset]["hits"][0]
        assert first["case"]["case_id"] == case.case_id, "the very image stands first"
        assert first["look"] == pytest.approx(1, abs=1e-3)
        weights = answers[preset]["query"]["weights"]
        for hit in answers[preset]["hits"]:
            parts = sum(weights[name] * hit[name] for name in ("meaning", "findings", "look"))
            assert hit["score"] == pytest.approx(parts, abs=2e-3)
    dermquery(*search, "--json", headed / "answer.json")
    assert json.loads((headed / "answer.json").read_text("utf-8"))["query"]["preset"] == "balanced"


def test_heads_change_nothing_of_the_papers_score(world: World, headed: Path, tmp_path: Path) -> None:
    """Without a turn, equation 9 is the same to the last digit; with one, it is nearly the same."""
    fold = Folds.load(world.folds).folds[0]
    cases = [case for case in read_cases(world.table).cases if case.case_id in fold.test][:12]
    images, queries = [case.image for case in cases], [case.as_query() for case in cases]
    plain = load_model(world.model)
    expected = plain.layout.score(plain.encode_query(queries), plain.encode_case(images), PAPER)
    wide = ("fit-heads", world.model, "--data", world.table, "--folds", world.folds, "--width", 4096)
    dermquery(*wide, "--out", tmp_path / "wide.safetensors")
    dermquery("pack", world.model, "--heads", tmp_path / "wide.safetensors", "--out", tmp_path / "wide")
    for folder, within in ((tmp_path / "wide", 0.0), (headed / "model", 0.1)):
        model = load_model(folder)
        found = model.layout.score(model.encode_query(queries), model.encode_case(images), PAPER)
        assert np.abs(found - expected).max() <= within


def test_graphs_and_pytorch_read_the_same_heads(world: World, headed: Path) -> None:
    images = [case.image for case in read_cases(world.table).cases[:6]]
    packed, trained = load_model(headed / "model"), load_trained(headed / "model")
    np.testing.assert_allclose(packed.encode_case(images), trained.encode_case(images), atol=5e-2)
    assert packed.layout == trained.layout
    assert packed.layout.blocks.width == 8
    assert packed.layout.look == packed.readout.heads.look.shape[0]  # type: ignore[union-attr]
