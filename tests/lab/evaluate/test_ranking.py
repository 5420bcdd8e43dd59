"""Who may be retrieved, in which order, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dermquery.lab.evaluate import ranking as module
from dermquery.lab.evaluate.ranking import Ranking, exclude_own, exclude_patient, rank
from tests.lab.evaluate.strategies import Problem, make_case, problems, random_problem
from tests.lab.reference import naive_evaluation as naive


def ids(ranking: Ranking, query: int = 0) -> list[str]:
    return [ranking.gallery[i].case_id for i in ranking.order[query] if i >= 0]


def test_highest_score_first_and_own_lesion_left_out() -> None:
    query = make_case("q", lesion_id="1")
    gallery = [make_case("a"), make_case("q"), make_case("b", lesion_id="1"), make_case("c", lesion_id="2")]
    ranking = rank([[0.1, 9.0, 8.0, 0.7]], [query], gallery)
    assert ids(ranking) == ["c", "a"]
    assert ranking.order.tolist() == [[3, 0, -1, -1]]
    assert ranking.order.dtype == np.int32
    np.testing.assert_array_equal(ranking.scores, np.array([[0.7, 0.1, np.nan, np.nan]], np.float32))
    assert ranking.valid.tolist() == [[True, True, False, False]]


def test_ties_break_by_case_id() -> None:
    gallery = [make_case(name) for name in ("c", "a", "B", "a10", "a2")]
    assert ids(rank([[1, 1, 1, 1, 1]], [make_case("q")], gallery)) == ["B", "a", "a10", "a2", "c"]


def test_signed_zeros_are_a_tie() -> None:
    assert ids(rank([[-0.0, 0.0]], [make_case("q")], [make_case("b"), make_case("a")])) == ["a", "b"]


def test_infinite_scores_are_legal_and_stay_before_the_padding() -> None:
    gallery = [make_case(name) for name in ("a", "b", "q", "c")]
    ranking = rank([[-np.inf, np.inf, 5.0, 0.0]], [make_case("q")], gallery)
    assert ids(ranking) == ["b", "c", "a"]
    assert ranking.scores[0, :3].tolist() == [np.inf, 0.0, -np.inf]


def test_scores_closer_than_float32_are_not_a_tie() -> None:
    ranking = rank(np.array([[1.0, 1.0 + 1e-12]]), [make_case("q")], [make_case("a"), make_case("b")])
    assert ids(ranking) == ["b", "a"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.bool_])
def test_any_numeric_scores(dtype: type) -> None:
    scores: NDArray[Any] = np.array([[0, 1, 1]]).astype(dtype)
    given_scores = scores.copy()
    gallery = [make_case(name) for name in "abc"]
    assert ids(rank(scores, [make_case("q")], gallery)) == ["b", "c", "a"]
    np.testing.assert_array_equal(scores, given_scores)


@settings(max_examples=100)
@given(problem=problems(), seed=st.integers(0, 1000))
def test_equals_the_naive_order_in_any_order_of_the_gallery(problem: Problem, seed: int) -> None:
    expected = naive.rank(problem.scores.tolist(), problem.queries, problem.gallery)
    for given_problem in (problem, problem.shuffled(seed)):
        ranking = given_problem.rank()
        assert [ids(ranking, q) for q in range(len(problem.queries))] == [
            [case.case_id for case in ranked] for ranked in expected
        ]
        assert (np.diff(ranking.valid.astype(int), axis=1) <= 0).all(), "padding stands at the end"


@settings(max_examples=50)
@given(problem=problems())
def test_exclusions_equal_the_pairwise_rule(problem: Problem) -> None:
    own = [[query.same_lesion(case) for case in problem.gallery] for query in problem.queries]
    assert exclude_own(problem.queries, problem.gallery).tolist() == own


def test_exclude_patient_only_where_both_are_known() -> None:
    queries = [make_case("p", patient_id="7"), make_case("q")]
    gallery = [make_case("a", patient_id="7"), make_case("b"), make_case("c", patient_id="8"), make_case("q")]
    assert exclude_patient(queries, gallery).tolist() == [[True, False, False, False], [False, False, False, True]]
    assert exclude_own(queries, gallery).tolist() == [[False] * 4, [False, False, False, True]]
    assert ids(rank(np.ones((2, 4)), queries, gallery, exclude=exclude_patient)) == ["b", "c", "q"]


def test_blocks_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = random_problem(4, 11, 20)
    whole = problem.rank()
    monkeypatch.setattr(module, "_BLOCK", 3)
    parts = problem.rank()
    np.testing.assert_array_equal(whole.order, parts.order)
    np.testing.assert_array_equal(whole.scores, parts.scores)
    blocks = list(whole.blocks(4))
    assert [len(block.queries) for block in blocks] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate([b.same() for b in blocks]), whole.same())


def test_same_knows_no_unknown_values() -> None:
    queries = [make_case("p", None, fine_diagnosis="x"), make_case("q", "nevus")]
    gallery = [make_case("a", None), make_case("b", "nevus", fine_diagnosis="x"), make_case("q", "nevus")]
    ranking = rank(np.zeros((2, 3)), queries, gallery)
    assert ranking.same("diagnosis").tolist() == [[False, False, False], [False, True, False]]
    assert ranking.same("fine_diagnosis").tolist() == [[False, True, False], [False, False, False]]


def test_everything_excluded_and_nothing_given() -> None:
    query = make_case("q")
    assert rank([[1.0]], [query], [query]).order.tolist() == [[-1]]
    assert rank(np.zeros((0, 1)), [], [query]).order.shape == (0, 1)
    assert rank(np.zeros((1, 0)), [query], []).order.shape == (1, 0)


def test_bad_scores_are_refused_with_the_place_and_the_remedy() -> None:
    queries, gallery = [make_case("q")], [make_case("a"), make_case("b")]
    with pytest.raises(ValueError, match=r"1 scores are NaN, the first for query 'q' and gallery case 'b'"):
        rank([[0.0, np.nan]], queries, gallery)
    with pytest.raises(ValueError, match=r"shape \(2, 1\).*1 queries and 2 gallery cases"):
        rank([[0.0], [1.0]], queries, gallery)
    with pytest.raises(ValueError, match="more than once in the gallery: a;"):
        rank([[0.0, 0.0]], queries, [gallery[0], gallery[0]])
    with pytest.raises(ValueError, match="more than once in the queries: q;"):
        rank(np.zeros((2, 1)), queries * 2, gallery[:1])


def test_a_ranking_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must both be \(1, 1\)"):
        Ranking((make_case("q"),), (make_case("a"),), np.zeros((1, 2), np.int32), np.zeros((1, 2), np.float32))


@pytest.mark.slow
def test_large_rankings_stay_vectorised() -> None:
    """A loop over the 9 million pairs would take minutes."""
    import time

    n = 3000
    cases = [make_case(f"{i:05d}", f"label{i % 5}", lesion_id=f"l{i // 2}") for i in range(n)]
    scores = np.random.default_rng(0).random((n, n), dtype=np.float32)
    start = time.process_time()
    ranking = rank(scores, cases, cases)
    assert time.process_time() - start < 20
    assert (ranking.valid.sum(axis=1) == n - 2).all()
