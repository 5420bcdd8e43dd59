"""What is published of a comparison: small, and all that its tables show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from dermquery.lab.cli.result_tables import _tests
from dermquery.lab.evaluate import EvaluationBlock, Protocol, combine_folds, evaluate_ranking, rank
from dermquery.lab.evaluate.ranking import Ranking
from dermquery.lab.evaluate.tables import accuracy_table, map_table, usefulness_table
from dermquery.lab.experiment.comparison_result import paired_tests, published
from dermquery.lab.experiment.provenance import write_result
from tests.lab.evaluate.strategies import make_case


def rankings(quality: float) -> list[Ranking]:
    """Two folds of a system whose scores are noise plus `quality` for the right label."""
    found = []
    for fold in range(2):
        rng = np.random.default_rng(fold)
        labels = rng.choice(["nevus", "melanoma", "bkl"], 24)
        cases = [make_case(f"{fold}-{i:02d}", str(label)) for i, label in enumerate(labels)]
        scores = rng.normal(size=(24, 24)) + quality * (labels[:, None] == labels[None, :])
        found.append(rank(scores, cases, cases))
    return found


def folds(quality: float) -> list[EvaluationBlock]:
    return [evaluate_ranking(ranking, protocol=Protocol.UNSEEN, n_boot=0) for ranking in rankings(quality)]


def test_tables_of_what_is_published_are_those_of_everything(tmp_path: Path) -> None:
    everything = {name: combine_folds(folds(quality), n_boot=50) for name, quality in (("good", 1.0), ("bad", 0.2))}
    result = {"reference": "good", "means": [published(mean) for mean in everything.values()]}
    write_result(tmp_path / "result.json", result)
    text = (tmp_path / "result.json").read_text()
    assert json.loads(text) == json.loads(json.dumps(result)), "no digit is lost"
    assert len(text.splitlines()) == 7, "a line for each entry and each bracket"
    assert len(text) < len(json.dumps(list(everything.values()))) / 2
    small = dict(zip(everything, json.loads(text)["means"], strict=True))
    for table in (accuracy_table, map_table, usefulness_table):
        assert table(small).csv() == table(everything).csv()
        assert table(small, spread="sd").markdown() == table(everything, spread="sd").markdown()


def test_blocks_without_intervals_of_their_own_have_one_over_folds() -> None:
    blocks = folds(0.5)
    assert [block.intervals for block in blocks] == [{}, {}]
    low, high = combine_folds(blocks, n_boot=50)["intervals"]["map"]
    assert low < high


def test_the_reference_is_tested_against_every_other_row() -> None:
    quality = {"ours": 1.0, "weak": 0.2, "same": 1.0}
    found = {(protocol, name): folds(q) for protocol in ("seen", "unseen") for name, q in quality.items()}
    tests = paired_tests(found, {name: rankings(q) for name, q in quality.items()}, "ours")
    labels, unseen = ("map", "macro_map", "acc@1"), ("map", "macro_map", "acc@1", "coverage@5")
    assert [(t["protocol"], t["against"], t["metric"]) for t in tests] == [
        *(("seen", name, metric) for name in ("weak", "same") for metric in labels),
        *(("unseen", name, metric) for name in ("weak", "same") for metric in unseen),
    ], "no checklist, no test of agreement"
    assert tests[0]["difference"] > 0
    assert {t["difference"] for t in tests if t["against"] == "same"} == {0.0}
    assert all(t["p_holm"] >= t["p_value"] for t in tests)
    assert [t["interval"] for t in tests if t["metric"] == "coverage@5"] == [[None, None]] * 2
    shown = _tests(tests, Protocol.UNSEEN, "ours")
    assert shown.count("| – |") == 2
    assert "nan" not in shown
