"""Asked-finding P@10 against a count by hand, and sibling recall against a naive one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dermquery.data.case import Case
from dermquery.lab.evaluate.asked import asked_precision, asking_cases
from dermquery.lab.evaluate.ranking import Ranking, rank
from dermquery.lab.studies.eye import sibling_recall


def gallery(n: int, start: int = 0) -> list[Case]:
    rng = np.random.default_rng(start)
    return [
        Case(
            case_id=f"g{start + i:04d}",
            image=Path("none"),
            checklist={"streaks": str(rng.choice(["absent", "regular", "irregular"], p=[0.6, 0.3, 0.1]))},
        )
        for i in range(n)
    ]


def answered(cases: list[Case], seed: int) -> Ranking:
    asking = asking_cases()
    return rank(np.random.default_rng(seed).random((len(asking), len(cases))), asking, cases)


def test_precision_over_merged_parts_is_a_count() -> None:
    parts = [answered(gallery(60), 1), answered(gallery(70, start=1000), 2)]
    found = asked_precision(parts)
    everyone = [case for part in parts for case in part.gallery]
    carried = Counter(case.checklist["streaks"] for case in everyone)
    expected = {}
    for value, n in carried.items():
        if n < 10:
            continue
        place = next(i for i, q in enumerate(parts[0].queries) if q.checklist == {"streaks": value})
        scored = []
        for part in parts:
            for score, position in zip(part.scores[place], part.order[place], strict=True):
                scored.append((float(score), part.gallery[position].checklist["streaks"] == value))
        expected[f"streaks={value}"] = sum(hit for _, hit in sorted(scored, reverse=True)[:10]) / 10
    assert {name: row["p@10"] for name, row in found["values"].items()} == expected
    assert found["p@10"] == pytest.approx(np.mean(list(expected.values())))
    assert found["interval"][0] <= found["p@10"] <= found["interval"][1]


def test_a_system_that_knows_the_findings_is_perfect() -> None:
    cases, asking = gallery(200), asking_cases()
    scores = np.array([[float(q.checklist.items() <= c.checklist.items()) for c in cases] for q in asking])
    assert asked_precision([rank(scores, asking, cases)])["p@10"] == 1.0


def test_sibling_recall_is_a_count() -> None:
    rng = np.random.default_rng(3)
    cases = [
        Case(case_id=f"p{i:03d}", image=Path("none"), lesion_id=f"l{rng.integers(0, 40)}", diagnosis="nv")
        for i in range(90)
    ]
    scores = rng.random((90, 90))
    found = sibling_recall(scores, cases)
    counts = Counter(case.lesion_id for case in cases)
    hits, asked = {1: 0, 5: 0, 10: 0}, 0
    for i, case in enumerate(cases):
        if counts[case.lesion_id] < 2:
            continue
        asked += 1
        order = sorted((j for j in range(90) if j != i), key=lambda j: -scores[i, j])
        for k in hits:
            hits[k] += any(cases[j].lesion_id == case.lesion_id for j in order[:k])
    assert found["n"] == asked
    assert {k: found[f"recall@{k}"] for k in hits} == {k: round(n / asked, 4) for k, n in hits.items()}
