"""`dermquery compare` and `ablate` through the real command line, on synthetic cases."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from dermquery.data.case_table import read_cases
from dermquery.lab.data.folds import Folds
from dermquery.lab.evaluate.protocols import protocol_sets
from dermquery.lab.experiment import comparison
from dermquery.lab.experiment.registry import SYSTEMS
from tests.e2e.conftest import World, dermquery

pytestmark = pytest.mark.slow

SETTINGS = (
    "model.vision.backbone=efficientnet-lite0", "train.epochs=4", "train.refit=true", "train.learning_rate=3e-3",
    "train.forms=all", "model.composer.text_shift=true",
    "teach.teacher=efficientnet-lite0", "teach.teacher_size=64", "teach.components=8", "tune.epochs=2",
    "systems.dahnet.bits=12", "systems.comquery_former.heads=2", "systems.comquery_former.depth=1",
)  # fmt: skip


def run(world: World, command: str, out: Path, *more: object) -> str:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    return dermquery(
        command, "--data", world.table.parent, "--folds", world.folds, "--fold", 0, "--out", out,
        "--config", world.config, *settings, "--accelerator", "cpu", *more,
    ).stdout  # fmt: skip


@pytest.fixture(scope="module")
def compared(world: World) -> Path:
    out = world.folder / "compared"
    with FileLock(f"{out}.lock"):
        if not (out / "answers.html").is_file():
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(comparison, "_TIMED", 2)
                run(world, "compare", out)
    return out


@pytest.fixture(scope="module")
def result(compared: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((compared / "result.json").read_text("utf-8"))
    return found


def test_every_system_stands_under_both_protocols_with_tests_and_costs(result: dict[str, Any]) -> None:
    titles = [listed.title for listed in SYSTEMS.values() if not listed.needs_start]
    for protocol in ("seen", "unseen"):
        assert [m["system"] for m in result["means"] if m["protocol"] == protocol] == titles
        against = [t["against"] for t in result["tests"] if t["protocol"] == protocol and t["metric"] == "map"]
        assert against == titles[1:]
    assert all(test["p_holm"] >= test["p_value"] for test in result["tests"])
    assert all(c["bytes_per_case"] > 0 and c["seconds_per_query"] > 0 for c in result["costs"])
    assert {c["system"] for c in result["costs"] if c["train_seconds"] > 0} >= {"CRN", "DAHNet", "ComqueryFormer"}
    assert result["provenance"]["config"]["systems"]["dahnet"]["bits"] == 12


def test_every_system_is_above_chance(result: dict[str, Any]) -> None:
    """Synthetic findings follow the diagnosis, so that even a few epochs at 64 px must show in the seen gallery.

    But for ComqueryFormer, whose attention starts from nothing; that it learns, tests/lab/systems shows.
    """
    for mean in (m for m in result["means"] if m["protocol"] == "seen" and m["system"] != "ComqueryFormer"):
        assert mean["micro"]["map"] > mean["chance"]["map"] + 0.01, mean["system"]


def test_metrics_come_from_the_predictions(world: World, compared: Path, result: dict[str, Any]) -> None:
    cases = read_cases(world.table).cases
    folds = Folds.load(world.folds, cases)
    label = {case.case_id: case.diagnosis for case in cases}
    queries, gallery = protocol_sets("unseen", folds, 0, cases)
    held = {case.case_id for case in gallery}
    for key in ("composed", "snf_dca", "dahnet"):
        (folder,) = (compared / "predictions").glob(f"{key}-*")
        rows = pq.read_table(folder / "fold-0" / "unseen.parquet").to_pylist()
        assert [row["query_id"] for row in rows] == [query.case_id for query in queries]
        precisions = []
        for row in rows:
            assert row["query_id"] not in row["ranked_ids"]
            assert set(row["ranked_ids"]) < held
            assert np.all(np.diff(row["scores"]) <= 1e-6)
            hits = [label[found] == label[row["query_id"]] for found in row["ranked_ids"]]
            at = [sum(hits[:n]) / n for n, hit in enumerate(hits, start=1) if hit]
            precisions += [sum(at) / len(at)] if at else []
        own = (m for m in result["means"] if (m["protocol"], m["system"]) == ("unseen", SYSTEMS[key].title))
        assert next(own)["micro"]["map"] == pytest.approx(np.mean(precisions), abs=1e-9)


def test_asked_findings_are_judged_for_every_system_that_reads_words(compared: Path, result: dict[str, Any]) -> None:
    rows = {row["system"]: row for row in result["asked"]}
    assert set(rows) >= {"dermquery (ours)", "ours, three parts", "frozen+ (teacher)", "checklist cosine"}
    assert all(row["values"].keys() == rows["checklist cosine"]["values"].keys() for row in rows.values())
    assert rows["checklist cosine"]["p@10"] > rows["frozen+ (teacher)"]["p@10"] > 0
    assert "asked-finding P@10" in (compared / "result.md").read_text("utf-8")


def test_an_eye_is_taught_and_searched_by(world: World) -> None:
    out, settings = world.folder / "eye", [part for setting in SETTINGS for part in ("--set", setting)]
    common = ("--config", world.config, *settings, "--set", "train.epochs=1", "--accelerator", "cpu")
    others = world.folder / "others" / "cases.csv"  # no case of the comparison may have been taught
    dermquery("data", "synthesize", "--n", 60, "--seed", 12, "--size", 96, "--out", others.parent)
    said = dermquery("teach", others, "--out", out, *common, "--set", "train.batch_size=8").stdout
    assert re.search(r"\d+ of \d+ images taught", said)
    start = ("--start-from", out / "eye")
    seen = dermquery("evaluate-eye", others, *start, "--json", out / "seen.json").stdout
    assert "siblings, within-lesion whitening" in seen
    held = json.loads((out / "seen.json").read_text("utf-8"))
    assert 0 < held["n"] < 60
    said = dermquery(
        "tune", world.table, "--folds", world.folds, "--out", out / "t", *common, "--set", "tune.epochs=1"
    ).stdout
    assert re.search(r"(\d+) of \d+ cases; .*eye", said)
    run(world, "compare", out / "compared", "--systems", "taught+,frozen", *start, "--no-report")
    assert len(list((out / "compared" / "predictions").glob("taught+-*"))) == 1
    with pytest.raises(pytest.fail.Exception, match="give it with --start-from"):
        run(world, "compare", out / "other", "--systems", "taught+", "--no-report")


def test_the_curve_at_the_models_own_weight_is_its_row(result: dict[str, Any]) -> None:
    for protocol in ("seen", "unseen"):
        (point,) = (p for p in result["curve"] if p["protocol"] == protocol and p["local_weight"] == 0.6)
        own = next(m for m in result["means"] if m["protocol"] == protocol)
        assert point["micro"]["map"] == pytest.approx(own["micro"]["map"], abs=1e-4)


def test_a_second_run_computes_nothing_and_another_setting_only_its_own(world: World, compared: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in compared.rglob("facts.json")}
    more = ("--systems", "composed,dahnet,frozen", "--set", "systems.dahnet.cut=1", "--no-report")
    text = run(world, "compare", compared, *more)
    assert "fold 0: DAHNet done" in text
    assert "dermquery (ours) done" not in text
    assert "frozen ImageNet features done" not in text
    assert all(path.stat().st_mtime_ns == before for path, before in files.items())
    assert len(list((compared / "predictions").glob("dahnet-*"))) == 2


def test_tables_figures_and_answers_are_there(compared: Path) -> None:
    text = (compared / "result.md").read_text("utf-8")
    assert "irst on mAP: " in text
    assert "efficientnet-lite0 at 64 px" in text
    for protocol in ("seen", "unseen"):
        for name in ("accuracy", "map", "usefulness"):
            rows = list(csv.reader((compared / "tables" / f"{protocol}-{name}.csv").open()))
            assert len(rows) >= 3
            assert r"\toprule" in (compared / "tables" / f"{protocol}-{name}.tex").read_text("utf-8")
        for name in ("accuracy", "map", "precision-recall", "forest", "local-weight"):
            assert (compared / "figures" / f"{protocol}-{name}.png").stat().st_size > 5000
    assert (compared / "answers.png").stat().st_size > 20000
    page = (compared / "answers.html").read_text("utf-8")
    assert page.count("<section>") == page.count('class="query"') >= 2
    assert len(re.findall(r'class="(right|wrong)"', page)) == 5 * page.count("<section>")
    assert not re.search(r'(src|href)="(?!data:)', page), "the page loads nothing"


def test_ablations_train_another_model_and_stand_against_the_whole(world: World, compared: Path) -> None:
    out = world.folder / "ablated"
    for kept in ("trainings", "predictions"):  # the whole model is the one that was compared
        for folder in (compared / kept).glob("composed-*"):
            shutil.copytree(folder, out / kept / folder.name)
    said = run(world, "ablate", out, "--parts", "level_high", "--jobs", 2)
    assert {path.stem for path in (out / "logs").glob("*.log")} == {"whole-fold-0", "level_high-fold-0"}
    assert " done in " not in said, "the processes have done everything"
    found = json.loads((out / "result.json").read_text("utf-8"))
    rows = [m["system"] for m in found["means"] if m["protocol"] == "seen"]
    assert rows == ["whole model", "high level only"]
    assert found["reference"] == "whole model"
    sizes = {c["system"]: c["bytes_per_case"] for c in found["costs"]}
    assert sizes["high level only"] * 3 == sizes["whole model"]


def test_a_process_of_its_own_answers_what_this_one_does(world: World, compared: Path, result: dict[str, Any]) -> None:
    out = world.folder / "jobs"
    said = run(world, "compare", out, "--systems", "frozen,checklist_cosine", "--jobs", 2)
    assert " done in " not in said, "the process has done everything"
    assert [path.stem for path in (out / "logs").iterdir()] == ["untrained-fold-0"]
    found = json.loads((out / "result.json").read_text("utf-8"))
    known = {(m["protocol"], m["system"]): m["micro"]["map"] for m in result["means"]}
    for mean in found["means"]:
        assert mean["micro"]["map"] == pytest.approx(known[mean["protocol"], mean["system"]], abs=1e-9)


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("compare", ("--systems", "composed,resnet"), "unknown system 'resnet'; use some of: composed"),
        ("compare", ("--systems", "frozen", "--fold", 7), "--fold 7: there are folds 0 to 1"),
        ("ablate", ("--parts", "regions"), "unknown ablation 'regions'; use some of: whole"),
    ],
)
def test_bad_input_is_named(
    world: World, tmp_path: Path, command: str, arguments: tuple[object, ...], message: str
) -> None:
    done = dermquery(
        command, "--data", world.table, "--folds", world.folds, "--out", tmp_path, "--config", world.config, *arguments,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert message in done.stderr


def test_help_lists_systems_and_ablations(world: World, tmp_path: Path) -> None:
    listed = dermquery("compare", "--systems", "help").stdout
    assert all(key in listed for key in SYSTEMS)
    assert "model.regions.count=1" in dermquery("ablate", "--parts", "help").stdout
