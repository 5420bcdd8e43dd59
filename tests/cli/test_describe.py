"""What ``dermquery describe`` says of a model."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.cli.describe import _short
from dermquery.model.artifact import artifact_folder, shipped_models
from dermquery.model.load import load_model
from dermquery.model.parts import Weights
from dermquery.model.training_words import training_words


@pytest.mark.parametrize("name", shipped_models())
def test_a_training_is_described_as_on_the_models_card(name: str) -> None:
    done = CliRunner().invoke(app, ["describe", name], env={"COLUMNS": "80"})
    said = training_words(load_model(name).provenance)
    assert " ".join(said) in " ".join(done.output.split())
    assert f"- {said[0]}\n" in (artifact_folder(name) / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", shipped_models())
def test_presets_are_shown_whole_on_a_narrow_terminal(name: str) -> None:
    done = CliRunner().invoke(app, ["describe", name], env={"COLUMNS": "80"})
    assert "…" not in done.output
    for preset, weights in load_model(name).presets.items():
        assert f"{preset}: {_short(weights)}" in " ".join(done.output.split())


def test_weights_are_short() -> None:
    assert _short(Weights(meaning=1, findings=0.6516, look=0.1844, posterior=0.5)) == (
        "meaning=1, findings=0.6516, look=0.1844, ρ=0.5, λ=0.6"
    )
    assert _short(Weights(meaning=1, local_weight=0.0)) == "meaning=1, λ=0"


def test_a_training_is_told_from_its_provenance() -> None:
    facts = {
        "best": {"epoch": 16, "epochs": 16, "validation_map": None},
        "cases": {"train": 602, "validation": 108, "further": 8039},
        "started_from": {"name": "eye", "artifact": "f66be765f5115b25"},
    }
    assert training_words(facts | {"config": {"train": {"refit": True}}}) == [
        "Trained on 710 cases for all 16 epochs; nothing was selected.",
        "As many of 8,039 further cases, images without words, stood in every batch.",
        "Its backbone started from `eye` (f66be765f511).",
    ]
    assert training_words(facts)[0] == "Trained on 602 cases; epoch 16 of 16 chosen on 108 others."
    assert training_words({}) == ["What it was trained on is not recorded."]
