"""Breaking an evaluation down must give what evaluating the parts by hand gives."""

from __future__ import annotations

import numpy as np
import pytest

from dermquery.lab.evaluate import evaluate_ranking, rank
from dermquery.lab.evaluate.strata import NOT_RECORDED, STRATUM_METRICS, strata
from tests.lab.evaluate.strategies import make_case, random_problem


@pytest.mark.parametrize("seed", range(5))
def test_a_part_is_the_evaluation_of_its_queries_alone(seed: int) -> None:
    problem = random_problem(seed, 12, 30)
    whole = evaluate_ranking(problem.rank(), protocol="external", n_boot=20)
    parted = strata(whole, problem.queries, ["diagnosis"], n_boot=20)["diagnosis"]
    assert sum(row["n"] for row in parted) == len(problem.queries)
    assert [row["n"] for row in parted] == sorted((row["n"] for row in parted), reverse=True)
    for row in parted:
        rows = [i for i, case in enumerate(problem.queries) if case.diagnosis == row["value"]]
        queries = [problem.queries[i] for i in rows]
        alone = evaluate_ranking(rank(problem.scores[rows], queries, problem.gallery), protocol="external", n_boot=20)
        expected = {**alone.micro, **alone.usefulness}
        for metric in STRATUM_METRICS:
            assert row[metric] == (None if expected[metric] is None else pytest.approx(expected[metric]))
            low, high = row["intervals"][metric]
            assert low is None or low <= row[metric] <= high


def test_ages_fall_into_bands_and_a_gap_is_a_part_of_its_own() -> None:
    queries = [
        make_case("a", age=19.5, extra={"difficulty": "low"}),
        make_case("b", age=20, extra={"difficulty": "high"}),
        make_case("c", extra={"difficulty": "high"}),
    ]
    gallery = [make_case("x"), make_case("y", "mel")]
    block = evaluate_ranking(rank(np.zeros((3, 2)), queries, gallery), protocol="external", n_boot=5)
    found = strata(block, queries, ["age", "difficulty", "sex"], n_boot=5)
    assert {row["value"]: row["n"] for row in found["age"]} == {"0 to 19": 1, "20 to 39": 1, NOT_RECORDED: 1}
    assert [(row["value"], row["n"]) for row in found["difficulty"]] == [("high", 2), ("low", 1)]
    assert [row["value"] for row in found["sex"]] == [NOT_RECORDED]


def test_an_unknown_column_is_named_with_the_known_ones() -> None:
    problem = random_problem(0, 3, 5)
    block = evaluate_ranking(problem.rank(), protocol="external", n_boot=5)
    with pytest.raises(ValueError, match=r"'colour'; choose from: diagnosis, .*age"):
        strata(block, problem.queries, ["colour"])
    bare = evaluate_ranking(problem.rank(), protocol="external", n_boot=5, keep_per_query=False)
    with pytest.raises(ValueError, match="without its rows per query"):
        strata(bare, problem.queries, ["sex"])
