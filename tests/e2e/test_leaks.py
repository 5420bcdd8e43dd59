"""A number on cases that a model was trained on is refused, whatever the folds are called."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dermquery.data.case_table import read_cases
from dermquery.lab.data.folds import Folds
from dermquery.lab.experiment import held_out
from dermquery.model.load import load_model
from tests.e2e.conftest import World, dermquery

pytestmark = pytest.mark.slow


def test_other_folds_and_the_external_protocol_are_no_way_round(world: World, tmp_path: Path) -> None:
    assert len(load_model(world.model).trained_on)
    dermquery("data", "folds", world.table, "--seed", 1, "--out", tmp_path / "other.json")
    judge = ("evaluate", "--model", world.model, "--data", world.table.parent, "--fold", 0)
    for protocol in ("seen", "unseen"):
        done = dermquery(*judge, "--protocol", protocol, "--folds", tmp_path / "other.json", check=False)
        assert done.returncode == 2
        assert "were trained on by" in done.stderr
    done = dermquery("evaluate", "--model", world.model, "--gallery", world.table, check=False)
    assert done.returncode == 2
    assert "cases that ask were trained on by" in done.stderr
    told = dermquery(
        "evaluate", "--model", world.model, "--gallery", world.table, "--include-known", "--held-out", 2, "--json",
        tmp_path / "known.json",
    )  # fmt: skip
    known = json.loads((tmp_path / "known.json").read_text("utf-8"))
    assert f"composed, {known['provenance']['trained_on']['queries']} trained on" in told.stdout
    kept = [case for case in read_cases(world.table).cases if held_out(case, 2)]
    assert 0 < known["n"] == len(kept) < len(read_cases(world.table).cases)
    assert known["provenance"]["held_out"] == "one lesion in 2"
    done = dermquery(*judge, "--protocol", "seen", "--folds", world.folds, "--held-out", 2, check=False)
    assert done.returncode == 2
    assert "the seen protocol has its fold" in done.stderr
    honest = dermquery(*judge, "--protocol", "unseen", "--folds", world.folds, "--json", tmp_path / "unseen.json")
    assert "trained on" not in honest.stderr
    facts = json.loads((tmp_path / "unseen.json").read_text("utf-8"))["provenance"]["trained_on"]
    assert facts["queries"] == facts["gallery"] == 0 < facts["gallery_size"]
    seen = dermquery(*judge, "--protocol", "seen", "--folds", world.folds, "--json", tmp_path / "seen.json")
    assert seen.returncode == 0
    facts = json.loads((tmp_path / "seen.json").read_text("utf-8"))["provenance"]["trained_on"]
    assert facts["gallery"] == facts["gallery_size"], "the protocol's gallery is the training part"


def test_no_training_starts_from_a_model_that_has_seen_its_test_cases(world: World, tmp_path: Path) -> None:
    dermquery("data", "folds", world.table, "--seed", 1, "--out", tmp_path / "other.json")
    line = (world.table, "--folds", tmp_path / "other.json", "--config", world.config, "--start-from", world.model)
    done = dermquery("train", *line, "--out", tmp_path / "run", "--accelerator", "cpu", check=False)
    assert done.returncode == 2
    assert "test cases of the fold were trained on by" in done.stderr
    done = dermquery("crossval", *line, "--fold", 0, "--out", tmp_path / "crossed", "--no-report", check=False)
    assert done.returncode == 2
    assert "test cases of fold 0 were trained on by" in done.stderr


def test_a_model_that_does_not_say_is_completed_by_pack(world: World, tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    shutil.copytree(world.model, silent)
    manifest = json.loads((silent / "artifact.json").read_text("utf-8"))
    del manifest["files"]["trained_on.safetensors"]
    (silent / "artifact.json").write_text(json.dumps(manifest))
    judge = ("--data", world.table.parent, "--folds", world.folds, "--fold", 0, "--protocol", "unseen")
    assert "does not say which images" in dermquery("evaluate", "--model", silent, *judge).stderr
    fold = Folds.load(world.folds).folds[0]
    rows = world.table.read_text("utf-8").splitlines()
    test = world.table.parent / "test-cases.csv"
    test.write_text("\n".join([rows[0], *(row for row in rows[1:] if row.split(",")[0] in fold.test)]) + "\n")
    dermquery("pack", silent, "--out", tmp_path / "said", "--trained-on", world.table, "--without", test)
    found, own = load_model(tmp_path / "said").trained_on, load_model(world.model).trained_on
    assert (found == own).all()
    assert "trained on" not in dermquery("evaluate", "--model", tmp_path / "said", *judge).stderr


def test_hits_say_that_the_model_was_trained_on_them(world: World, tmp_path: Path) -> None:
    dermquery("index", world.table, "--base", tmp_path / "base", "--model", world.model)
    fold = Folds.load(world.folds).folds[0]
    case = read_cases(world.table).cases[0]
    line = ("search", "--base", tmp_path / "base", "--image", case.image, "--top-k", 90)
    dermquery(*line, "--json", tmp_path / "hits.json", "--html", tmp_path / "hits.html")
    hits = json.loads((tmp_path / "hits.json").read_text("utf-8"))["hits"]
    trained = {*fold.train, *fold.validation}
    assert {hit["case_id"] for hit in hits if hit["trained_on"]} == trained
    assert len(hits) == len(trained) + len(fold.test)
    assert (tmp_path / "hits.html").read_text("utf-8").count("The model was trained on this image") == len(trained)
