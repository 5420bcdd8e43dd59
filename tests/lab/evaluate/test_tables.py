"""Tables as text, byte for byte, and what may not stand in one table."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from dermquery.lab.evaluate import EvaluationBlock, combine_folds
from dermquery.lab.evaluate.tables import CHANCE, Cell, Table, accuracy_table, make_table, map_table, usefulness_table
from tests.lab.evaluate.test_report import _by_hand, _folds


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return {"text only": combine_folds(_folds(0.3), n_boot=100), "ours & co": combine_folds(_folds(1.0), n_boot=100)}


SMALL = Table(
    "Mean 95 % of_all.",
    ("mAP", "Acc@1"),
    (
        (CHANCE, (Cell(0.5), Cell(None))),
        ("a_b & c", (Cell(0.8171, (0.79, 0.8449), 0.012), Cell(1.0, (None, None), None))),
    ),
)


def test_markdown() -> None:
    assert SMALL.markdown() == (
        "Mean 95 % of_all.\n\n"
        "| System | mAP | Acc@1 |\n"
        "|---|---:|---:|\n"
        "| chance (random order) | 50.0 | – |\n"
        "| a_b & c | 81.7 [79.0–84.5] | 100.0 |\n"
    )


def test_csv_is_unrounded() -> None:
    assert SMALL.csv() == (
        "System,mAP,mAP low,mAP high,mAP sd,Acc@1,Acc@1 low,Acc@1 high,Acc@1 sd\n"
        "chance (random order),0.500000,,,,,,,\n"
        "a_b & c,0.817100,0.790000,0.844900,0.012000,1.000000,,,\n"
    )


def test_latex() -> None:
    assert SMALL.latex() == (
        "\\begin{table}\n\\centering\n\\caption{Mean 95~\\% of\\_all.}\n\\begin{tabular}{lrr}\n\\toprule\n"
        "System & mAP & Acc@1 \\\\\n\\midrule\n"
        "chance (random order) & 50.0 & -- \\\\\n"
        "a\\_b \\& c & 81.7 [79.0--84.5] & 100.0 \\\\\n"
        "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )


def test_spreads() -> None:
    cell = SMALL.rows[1][1][0]
    assert [cell.text(s, 1, 3) for s in ("interval", "sd", "none")] == [
        "0.817 [0.790–0.845]",
        "0.817 ± 0.012",
        "0.817",
    ]


def test_accuracy_table_is_the_papers_first(results: dict[str, Any]) -> None:
    table = accuracy_table(results)
    assert table.columns == (*(f"Acc@{k}" for k in range(1, 11)), "Acc mean@1–10")
    assert [name for name, _ in table.rows] == [CHANCE, "text only", "ours & co"]
    assert table.rows[0][1][0].value == results["text only"]["chance"]["acc@1"]
    assert table.rows[2][1][-1].value == results["ours & co"]["micro"]["acc_mean"]
    assert table.caption == "Unseen gallery: accuracy at k in per cent; 90 queries in 3 folds."


def test_map_table_is_the_papers_second(results: dict[str, Any]) -> None:
    table = map_table(results, spread="sd")
    assert table.columns == ("mAP melanoma", "mAP nevus", "mAP (queries)", "mAP (diagnoses)")
    ours = results["ours & co"]
    assert [cell.value for cell in table.rows[2][1]] == [
        ours["per_class"]["melanoma"]["map"],
        ours["per_class"]["nevus"]["map"],
        ours["micro"]["map"],
        ours["macro"]["map"],
    ]
    assert [cell.interval for cell in table.rows[2][1]] == [
        ours["intervals"][name] for name in ("map[melanoma]", "map[nevus]", "map", "macro_map")
    ]
    assert table.rows[2][1][0].sd == ours["sd"]["per_class"]["melanoma"]["map"]
    assert " ± " in table.markdown()


def test_usefulness_table(results: dict[str, Any]) -> None:
    table = usefulness_table(results)
    assert table.columns == (
        "Acc@1",
        "mAP",
        "coverage@5",
        "largest occurrence@5",
        "checklist agreement@5",
        "fine P@5",
        "nDCG@10",
    )
    chance = table.rows[0][1]
    assert chance[3].value is None, "the largest occurrence has no closed form"
    assert chance[2].value == results["text only"]["chance_usefulness"]["coverage@5"]


def test_single_blocks_and_blocks_read_back_give_the_same_table() -> None:
    block = _by_hand()
    back = json.loads(block.model_dump_json())
    columns = [("micro", "map"), ("macro", "r@5"), ("usefulness", "coverage@5")]
    table = make_table({"ours": block}, columns, what="chosen values")  # type: ignore[arg-type]
    assert table.columns == ("mAP", "macro R@5", "coverage@5")
    assert "chosen values in per cent, with 95 % bootstrap intervals; 4 queries (1 without a relevant" in table.caption
    assert make_table({"ours": back}, columns, what="chosen values").markdown() == table.markdown()  # type: ignore[arg-type]
    rows = list(csv.reader(io.StringIO(table.csv())))
    assert {len(row) for row in rows} == {1 + 4 * 3}
    assert EvaluationBlock.model_validate(back) == block


def test_only_like_stands_with_like(results: dict[str, Any]) -> None:
    other = {**results["text only"], "protocol": "seen"}
    with pytest.raises(ValueError, match=r"'ours & co' and 'seen one' differ in protocol \(unseen and seen\)"):
        map_table({"ours & co": results["ours & co"], "seen one": other})
    fewer = combine_folds(_folds(0.3, 2), n_boot=10)
    with pytest.raises(ValueError, match="differ in n "):
        accuracy_table({"all": results["ours & co"], "fewer": fewer})
    with pytest.raises(ValueError, match="at least one system"):
        accuracy_table({})
    with pytest.raises(ValueError, match="no metric 'mapp' in 'micro'; use one of: acc@1"):
        make_table(results, [("micro", "mapp")])
