"""`dermquery evaluate-quality` on rendered cases: what it counts, and that what it fits is fit for use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skimage
from PIL import Image
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.data.appearance import Appearance, appearance_features
from dermquery.data.borders import remove_borders
from dermquery.data.case_table import read_cases, write_cases
from dermquery.data.image import load_image
from dermquery.data.image_quality import WARNING_KINDS, check_image
from dermquery.lab.data.folds import make_folds
from dermquery.lab.studies.warning_rates import SPOILT
from dermquery.lab.synthetic import synthesize

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quality")
    made = read_cases(synthesize(folder, n=50, size=(112, 112)))
    common = [case for case in made if case.diagnosis != "bkl"]  # too few of those for five folds
    write_cases(common, folder / "common.csv")
    return folder / "common.csv"


@pytest.fixture(scope="module")
def folds(table: Path) -> Path:
    path = table.parent / "folds.json"
    make_folds(read_cases(table).cases, seed=0).save(path)
    return path


@pytest.fixture(scope="module")
def close_ups(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs in the place of clinical close-ups, one for every case."""
    pictures = [PHOTOGRAPHS / name for name in ("astronaut.png", "coffee.png", "rocket.jpg", "chelsea.png")]
    ids = [case.case_id for case in read_cases(table)]
    path = tmp_path_factory.mktemp("close-ups") / "cases.csv"
    images = [str(pictures[i % len(pictures)]) for i in range(len(ids))]
    pd.DataFrame({"case_id": ids, "image": images}).to_csv(path, index=False)
    return path


def run(*arguments: object) -> str:
    found = CliRunner().invoke(app, ["evaluate-quality", *map(str, arguments)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


@pytest.mark.slow
def test_rates_are_counts_of_warnings(table: Path, folds: Path, close_ups: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    drawings = tmp_path / "drawings"
    drawings.mkdir()
    Image.new("RGB", (300, 300), "white").save(drawings / "white.png")
    options = ("--clinical", close_ups, "--rendered", table, "--other", drawings, "--model", "demo", "--json", out)
    run(table, "--folds", folds, *options)
    found = json.loads(out.read_text())
    cases = read_cases(table).cases
    test = set(json.loads(folds.read_text())["folds"][0]["test"])
    asked = [check_image(load_image(case.image)) for case in cases if case.case_id in test]
    row = found["dermoscopic"]["test fold"]
    assert row["n"] == len(asked) == len(test)
    for kind in WARNING_KINDS:
        expected = sum(any(warning.kind == kind for warning in warnings) for warnings in asked) / len(asked)
        assert row[kind] == pytest.approx(expected, abs=1e-4)
    assert row["too small"] == row["any"] == 1
    assert found["dermoscopic"]["other folds"]["n"] == len(cases) - len(test)
    by_skin = [row["n"] for name, row in found["dermoscopic"].items() if name.startswith("synthetic, skin type")]
    assert sum(by_skin) == len(cases)
    assert list(found["spoilt"]) == list(SPOILT)
    assert found["others"]["drawings"]["too bright"] == 1
    assert found["others"]["clinical close-ups"]["n"] == len(test)
    assert {(row["base"], row["weights"]) for row in found["likeness"]} == {
        (base, weights)
        for base in ("unseen cases", "cases of the training")
        for weights in ("λ = 0", "λ = 0.6", "λ = 1", "balanced")
    }
    assert all(0 <= row[name] <= 1 for row in found["likeness"] for name in ("false_alarms", *SPOILT, "drawings"))


def test_statistics_are_those_of_the_other_folds(table: Path, folds: Path, close_ups: Path, tmp_path: Path) -> None:
    out = tmp_path / "appearance.json"
    run(table, "--folds", folds, "--fit", out, "--clinical", close_ups)
    fitted = Appearance.model_validate_json(out.read_text())
    test = set(json.loads(folds.read_text())["folds"][0]["test"])
    rest = [case for case in read_cases(table) if case.case_id not in test]
    features = np.stack([appearance_features(remove_borders(load_image(case.image))) for case in rest])
    np.testing.assert_allclose(fitted.mean, features.mean(axis=0), rtol=1e-4, atol=1e-6)
    assert fitted.made_of == {"dermoscopic": len(rest), "rendered": 0, "clinical": len(rest)}
    photograph = load_image(PHOTOGRAPHS / "astronaut.png")
    assert fitted.foreignness(photograph).value > 1
    inside = [fitted.foreignness(remove_borders(load_image(case.image))).value <= 1 for case in rest]
    assert np.mean(inside) >= 0.9


def test_what_is_missing_is_named(table: Path, folds: Path, tmp_path: Path) -> None:
    def fails(*arguments: object) -> str:
        found = CliRunner().invoke(app, ["evaluate-quality", *map(str, arguments)])
        assert found.exit_code == 2
        return " ".join(found.output.split())

    assert "give their table by --clinical" in fails(table, "--folds", folds, "--fit", tmp_path / "a.json")
    assert "holds no picture" in fails(table, "--folds", folds, "--other", tmp_path)
    assert "no published folds" in fails(table)
