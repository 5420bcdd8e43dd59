"""The whole line through the real command line: synthesize, split, train, evaluate, index, search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from dermquery.data.case_table import read_cases, write_cases
from dermquery.lab.data.folds import Folds
from dermquery.lab.evaluate.protocols import protocol_sets
from dermquery.lab.evaluate.ranking import rank
from dermquery.lab.systems.composed import ComposedRanker
from dermquery.model.load import load_model
from tests.e2e.conftest import World, dermquery

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(world: World) -> Path:
    folder = world.folder / "base"
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            dermquery("index", world.table, "--base", folder, "--model", world.model, process=True)
    return folder


def found(base: Path, *arguments: object) -> list[dict[str, Any]]:
    out = dermquery("search", "--base", base, "--json", "-", *arguments).stdout
    hits: list[dict[str, Any]] = json.loads(out)["hits"]
    return hits


def test_search_ranks_as_evaluate_does(world: World, base: Path) -> None:
    """One encode path: the case base answers a case's own query with the ranking that the metrics are computed from."""
    cases = read_cases(world.table).cases
    model = load_model(world.model)
    for local_weight, asking in ((0.6, cases[:2]), (0.0, cases[2:3]), (1.0, cases[3:4])):
        ranker = ComposedRanker(model, local_weight=local_weight)
        ranking = rank(ranker.score(asking, cases), asking, cases)
        for i, query in enumerate(asking):
            expected = [cases[j].case_id for j in ranking.order[i] if j >= 0]
            terms = [part for k, v in query.checklist.items() for part in ("--term", f"{k}={v}")]
            own = ["--exclude-lesion", query.lesion_id] if query.lesion_id else []
            hits = found(
                base, "--image", query.image, *terms, "--top-k", len(cases), "--local-weight", local_weight,
                "--exclude-case", query.case_id, *own,
            )  # fmt: skip
            assert {hit["case_id"] for hit in hits} == set(expected)
            # A base keeps its vectors in half precision, which may exchange cases of nearly equal scores.
            np.testing.assert_allclose([hit["score"] for hit in hits], ranking.scores[i][: len(hits)], atol=1e-3)
            for hit in hits:
                mixed = local_weight * hit["local"] + (1 - local_weight) * hit["global"]
                assert hit["score"] == pytest.approx(mixed, abs=1e-6)


def test_evaluate_writes_one_block_and_the_protocols_differ(world: World) -> None:
    blocks = {}
    for protocol in ("seen", "unseen"):
        out = world.folder / f"{protocol}.json"
        dermquery(
            "evaluate", "--model", world.model, "--protocol", protocol, "--data", world.table.parent,
            "--folds", world.folds, "--fold", 0, "--json", out,
        )  # fmt: skip
        blocks[protocol] = json.loads(out.read_text("utf-8"))
    cases = read_cases(world.table).cases
    folds = Folds.load(world.folds, cases)
    for protocol, block in blocks.items():
        queries, gallery = protocol_sets(protocol, folds, 0, cases)
        assert block["protocol"] == protocol
        assert (block["n"], block["n_gallery"]) == (len(queries), len(gallery))
        assert {"acc@1", "acc@10", "map", "p@5"} <= set(block["micro"])
        assert {"coverage@5", "largest_occurrence@5", "checklist_agreement@5", "fine_p@5", "ndcg@10"} <= set(
            block["usefulness"]
        )
        assert block["provenance"]["folds_sha256"] == folds.sha256
        assert 0 < block["chance"]["map"] < 1


def test_an_evaluation_is_broken_down_and_packed_into_the_card(world: World, tmp_path: Path) -> None:
    out = tmp_path / "block.json"
    split = ("--protocol", "unseen", "--data", world.table, "--folds", world.folds)
    printed = dermquery("evaluate", "--model", world.model, *split, "--by", "sex", "--by", "age", "--json", out).stdout
    block = json.loads(out.read_text("utf-8"))
    assert sum(row["n"] for row in block["strata"]["sex"]) == block["n"]
    assert "By age, in per cent" in printed
    (tmp_path / "notes.md").write_text("Trained on **rendered** lesions.")
    packed = tmp_path / "packed"
    arguments = (
        "pack",
        world.model,
        "--out",
        packed,
        "--name",
        "tiny",
        "--storage",
        "float16",
        "--notes",
        tmp_path / "notes.md",
    )
    image_only = tmp_path / "image.json"
    dermquery("evaluate", "--model", world.model, *split, "--query", "image only", "--json", image_only)
    dermquery(*arguments, "--evaluation", out, "--evaluation", image_only)
    card = (packed / "README.md").read_text("utf-8")
    assert card.startswith("# tiny")
    assert "**rendered**" in card
    row = next(line for line in card.splitlines() if line.startswith("| composed |"))
    assert f" {100 * block['micro']['map']:.1f} [" in row
    assert "By sex, in per cent" in card
    assert card.count("## Unseen gallery") == 1, "two systems of one protocol are rows of one table"
    assert card.count("| image only |") == card.count("| composed |") == 3
    loaded, before = load_model(packed), load_model(world.model)
    assert loaded.name == "tiny"
    assert loaded.provenance["packed_from"]["artifact"] == before.artifact_hash
    again = dermquery(*arguments, check=False)
    assert again.returncode == 2
    assert "already holds an artifact" in again.stderr
    broken = dermquery("pack", world.model, "--out", tmp_path / "b", "--evaluation", world.folds, check=False)
    assert "is no evaluation" in broken.stderr


def test_a_model_is_not_tested_on_cases_that_it_was_trained_on(world: World) -> None:
    split = ("--protocol", "unseen", "--data", world.table, "--folds", world.folds)
    refused = dermquery("evaluate", "--model", world.model, *split, "--fold", 1, check=False)
    assert refused.returncode == 2
    assert "use --fold 0" in refused.stderr
    texts = dermquery("evaluate-text", "--model", world.model, *split, "--fold", 1, check=False)
    assert "use --fold 0" in texts.stderr
    unknown = dermquery("evaluate", "--model", world.model, *split[:4], check=False)
    assert "derm7pt-888" in unknown.stderr
    assert "name a fold file with --folds" in " ".join(unknown.stderr.split())


def test_two_tables_are_external_and_a_case_never_finds_its_lesion(world: World, tmp_path: Path) -> None:
    cases, test = read_cases(world.table).cases, set(Folds.load(world.folds).folds[0].test)
    asking = [case for case in cases if case.case_id in test][:20]
    write_cases(asking, tmp_path / "queries.csv")
    out = tmp_path / "block.json"
    sets = ("--gallery", world.table, "--queries", tmp_path / "queries.csv")
    dermquery("evaluate", "--model", world.model, *sets, "--json", out)
    block = json.loads(out.read_text("utf-8"))
    assert block["protocol"] == "external"
    assert (block["n"], block["n_gallery"]) == (20, 90)
    n_lesion = [sum(c.same_lesion(q) for c in cases) for q in asking]
    relevant = [sum(c.diagnosis == q.diagnosis and not c.same_lesion(q) for c in cases) for q in asking]
    assert "per_query" not in block
    rows = pq.read_table(out.with_suffix(".parquet")).to_pylist()
    assert [row["case_id"] for row in rows] == [case.case_id for case in asking]
    assert [row["n_relevant"] for row in rows] == relevant
    known = [row["ap"] for row in rows if row["ap"] is not None]
    assert block["micro"]["map"] == pytest.approx(np.mean(known))
    assert min(n_lesion) >= 1


def test_crossval_writes_means_tests_and_a_table_and_can_be_repeated(world: World) -> None:
    out = world.folder / "crossval"
    split = ("--config", world.config, "--folds", world.folds)
    arguments = ["crossval", world.table, *split, "--out", out, "--accelerator", "cpu"]
    dermquery(*arguments, "--jobs", 2, "--no-report")
    stamps = {p: p.stat().st_mtime_ns for name in ("weights.safetensors", "facts.json") for p in out.rglob(name)}
    printed = dermquery(*arguments, "--json", out / "again.json").stdout
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps, "finished folds are not trained or asked again"
    result = json.loads((out / "again.json").read_text("utf-8"))
    systems = ["composed", "image only", "text only", "checklist cosine", "checklist regression", "frozen features"]
    protocols = ("seen", "unseen")
    assert [(m["protocol"], m["system"]) for m in result["means"]] == [(p, s) for p in protocols for s in systems]
    rows = pq.read_table(out / "per_query.parquet").to_pylist()
    assert len(rows) == 2 * len(systems) * 90
    for mean in result["means"]:
        own = [row for row in rows if (row["protocol"], row["system"]) == (mean["protocol"], mean["system"])]
        folds = [[row["ap"] for row in own if row["fold"] == fold and row["ap"] is not None] for fold in (0, 1)]
        assert mean["micro"]["map"] == pytest.approx(np.mean([np.mean(fold) for fold in folds]))
    assert len(result["tests"]) == (len(systems) - 1) * (3 + 5), "two more on the unseen gallery"
    assert all(0 <= t["p_value"] <= t["p_holm"] <= 1 for t in result["tests"])
    curve = [point for point in result["curve"] if point["protocol"] == "seen"]
    assert [point["local_weight"] for point in curve] == [step / 10 for step in range(11)]
    main = result["means"][0]
    assert curve[6]["micro"]["map"] == pytest.approx(main["micro"]["map"], abs=1e-4), "the configuration's λ is .6"
    assert "chance" in printed
    shown = " ".join(printed.split())  # a terminal breaks lines, and tables into blocks of columns
    for line in (out / "again.md").read_text("utf-8").splitlines():
        assert line.startswith("|") or " ".join(line.split()) in shown
    assert str(out / "again.md") in printed
    assert (out / "figures" / "seen-local-weight.png").is_file()
    assert "lightning" in (out / "logs" / "crossval-fold-1.log").read_text("utf-8").lower()
    assert len(stamps) == 2 + 2 * len(systems)
    assert {p.parent for p in stamps if p.suffix == ".safetensors"} == {out / f"fold-{i}" / "model" for i in (0, 1)}
    refused = dermquery(*arguments, "--set", "train.epochs=3", check=False)
    assert refused.returncode == 2
    assert "another config" in refused.stderr


def test_sheet_picture_and_filters(world: World, base: Path, tmp_path: Path) -> None:
    case = read_cases(world.table).cases[0]
    done = dermquery(
        "search", "--base", base, "--image", case.image, "--text", "atypical network, blue-whitish veil",
        "--where", f"sex={case.sex}", "--html", tmp_path / "r.html", "--png", tmp_path / "r.png",
    )  # fmt: skip
    assert "Research use only" in done.stdout
    assert "<img" in (tmp_path / "r.html").read_text("utf-8")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    assert 'class="overlay"' not in (tmp_path / "r.html").read_text("utf-8")
    explained = tmp_path / "explained.html"
    dermquery("search", "--base", base, "--image", case.image, "--top-k", 3, "--explain", "--html", explained)
    assert explained.read_text("utf-8").count('class="overlay"') == 4, "the query and three hits"
    hits = found(base, "--text", "irregular streaks", "--where", f"sex={case.sex}", "--top-k", 50)
    assert {hit["case"]["sex"] for hit in hits} == {case.sex}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "--base", "{base}"], "query is empty"),
        (["search", "--base", "{base}", "--text", "x", "--local-weight", "1.5"], "between 0"),
        (["search", "--base", "{base}", "--text", "x", "--where", "colour=red"], "colour"),
        (["search", "--base", "{base}", "--image", "nowhere.jpg"], "nowhere.jpg"),
        (["search", "--base", "{base}", "--text", "x", "--explain"], "add --html, --pdf or --png FILE"),
        (["search", "--base", "nowhere", "--text", "x"], "nowhere"),
        (["index", "nowhere.csv", "--base", "{base}", "--model", "{model}"], "nowhere.csv"),
        (["train", "{table}", "--out", "{out}", "--config", "no-such"], "no configuration"),
        (["train", "{table}", "--out", "{out}", "--set", "train.epoch=3"], "train.epoch: unknown key"),
        (["train", "{table}", "--out", "{out}", "--config", "{config}", "--fold", "9"], "no fold 9"),
        (["evaluate", "--model", "{model}", "--protocol", "unseen"], "protocol needs --data"),
        (["evaluate", "--model", "no-such", "--gallery", "{table}"], "no model at 'no-such'"),
        (["describe", "no-such"], "no model at"),
        (["describe-config", "no-such"], "no configuration"),
    ],
)
def test_bad_input_is_one_clear_message(
    world: World, base: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    places = {"base": base, "table": world.table, "model": world.model, "config": world.config, "out": tmp_path / "out"}
    done = dermquery(*(a.format(**places) for a in arguments), check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_four_lines_of_python_answer_a_query(world: World, base: Path) -> None:
    from dermquery import CaseBase

    case = read_cases(world.table).cases[3]
    with_base = CaseBase.open(base)
    result = with_base.search(image=case.image, text="atypical network", where=["diagnosis!=bkl"], top_k=3)
    assert [hit.rank for hit in result.hits] == [1, 2, 3]
    assert all(hit.case.diagnosis != "bkl" for hit in result.hits)


def test_a_refit_starts_from_another_model_and_says_so(world: World, tmp_path: Path) -> None:
    arguments = ["train", world.table, "--config", world.config, "--folds", world.folds, "--out", tmp_path / "run"]
    more = ["--start-from", world.model, "--set", "train.refit=true", "--accelerator", "cpu"]
    printed = dermquery(*arguments, *more).stdout
    model = load_model(tmp_path / "run" / "model")
    assert model.provenance["started_from"]["artifact"] == load_model(world.model).artifact_hash
    assert model.provenance["best"]["validation_map"] is None
    assert model.artifact_hash[:12] in printed
    refused = dermquery(*arguments, "--set", "train.refit=true", "--accelerator", "cpu", check=False)
    assert refused.returncode == 2
    assert "another start" in refused.stderr
