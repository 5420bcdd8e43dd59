from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dermquery.data.case import Case
from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.lab.evaluate.levels import place_at, regrouped
from dermquery.lab.evaluate.ranking import rank
from dermquery.lab.evaluate.result_block import evaluate_ranking
from dermquery.lab.evaluate.strata import check_columns, strata

NAMES = ("melanoma in situ", "Melanoma Invasive", "Nevus, Clark", "Seborrheic keratosis", "Basal cell carcinoma", "")
CASES = [
    Case(
        case_id=f"{i:02d}",
        image=Path("a.jpg"),
        diagnosis=("mel", "mel", "nv", "bkl", "bcc", "x")[i % 6],
        diagnosis_path=DIAGNOSES.named(NAMES[i % 6]),
        site=("palm", "back", "chest")[i % 3],
    )
    for i in range(36)
]


def test_every_level_is_a_prefix_of_the_next() -> None:
    for case in CASES:
        places = [place_at(case, "diagnosis_path", level) for level in (1, 2, 3, 4, 5, None)]
        if case.diagnosis_path is None:
            assert places == [None] * 6
            continue
        assert places[0] in ("Benign", "Malignant")
        assert places[-1] == case.diagnosis_path
        for above, below in itertools.pairwise(places):
            assert f"{below}:".startswith(f"{above}:")


def test_cases_are_judged_by_a_level() -> None:
    found = regrouped(CASES, "diagnosis_path:1")
    assert Counter(case.diagnosis for case in found.cases) == {"Malignant": 18, "Benign": 12}
    assert found.left_out == 6
    scores = np.random.default_rng(0).normal(size=(30, 30))
    block = evaluate_ranking(rank(scores, found.cases, found.cases), protocol="external", n_boot=0)
    assert set(block.per_class) == {"Malignant", "Benign"}
    assert all(row["n_relevant"] == (17 if row["diagnosis"] == "Malignant" else 11) for row in block.per_query)
    assert regrouped(CASES, "diagnosis").cases == CASES


def test_what_cannot_be_grouped_by() -> None:
    with pytest.raises(ValueError, match="cannot group by 'sex'; use one of: diagnosis, fine_diagnosis, site:1"):
        regrouped(CASES, "sex")
    with pytest.raises(ValueError, match="'0' is no level of diagnosis_path"):
        regrouped(CASES, "diagnosis_path:0")
    with pytest.raises(ValueError, match="no case has a fine_diagnosis"):
        regrouped(CASES, "fine_diagnosis")


def test_parts_by_a_level() -> None:
    check_columns(CASES, ["site:1", "diagnosis_path"])
    scores = np.random.default_rng(0).normal(size=(36, 36))
    block = evaluate_ranking(rank(scores, CASES, CASES), protocol="external", n_boot=0)
    rows = strata(block, CASES, ["site:1"], n_boot=10)["site:1"]
    assert [(row["value"], row["n"]) for row in rows] == [("trunk", 24), ("upper extremity", 12)]
