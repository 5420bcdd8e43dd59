"""Who is first is said of all rows, and of those that only search."""

from __future__ import annotations

from typing import Any

from dermquery.lab.cli.result_tables import _leaders


def _row(map_: float, acc: float) -> dict[str, Any]:
    return {"micro": {"map": map_, "acc@1": acc}, "macro": {"map": map_}}


def test_a_row_that_reads_diagnoses_is_first_among_all_only() -> None:
    rows = {"ours": _row(0.8, 0.7), "reader": _row(0.9, 0.6), "other": _row(0.7, 0.75)}
    systems = [{"system": name, "gallery": "diagnosis" if name == "reader" else "image"} for name in rows]
    said = _leaders(rows, "ours", systems)
    assert said == (
        "Of all rows, first on mAP: reader (90.0; ours has 80.0), on macro mAP: reader (90.0; ours has 80.0), "
        "on Acc@1: other (75.0; ours has 70.0).\n\n"
        "Of the rows that do not read the gallery's diagnoses, first on mAP: ours (80.0), on macro mAP: ours (80.0), "
        "on Acc@1: other (75.0; ours has 70.0)."
    )
    assert _leaders(rows, "ours", []).startswith("First on mAP: reader (90.0")


def test_a_reference_that_reads_diagnoses_is_not_looked_for_among_the_others() -> None:
    rows = {"reader": _row(0.9, 0.6), "other": _row(0.7, 0.75)}
    systems = [{"system": name, "gallery": "diagnosis" if name == "reader" else "image"} for name in rows]
    assert _leaders(rows, "reader", systems).endswith(
        "diagnoses, first on mAP: other (70.0), on macro mAP: other (70.0), on Acc@1: other (75.0)."
    )
