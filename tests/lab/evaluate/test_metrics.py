"""Hand-computed values, an independent implementation, and refused input."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from dermquery.lab.evaluate import metrics

T, F = True, False


@pytest.mark.parametrize("name", ["metrics", "usefulness", "intervals"])
def test_doctests(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"dermquery.lab.evaluate.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("relevance", "expected"),
    [
        ([T], 1.0),
        ([F, T], 1 / 2),
        ([T, T, F], 1.0),
        ([F, F, T, T], (1 / 3 + 2 / 4) / 2),
        ([T, F, T, F, T], (1 + 2 / 3 + 3 / 5) / 3),
        # Manning, Raghavan and Schütze 2008, chapter 8: ten relevant in the collection is not assumed, all are listed.
        ([T, F, T, F, F, T, F, F, T, T], (1 + 2 / 3 + 3 / 6 + 4 / 9 + 5 / 10) / 5),
    ],
)
def test_average_precision_by_hand(relevance: list[bool], expected: float) -> None:
    assert float(metrics.average_precision(relevance)) == pytest.approx(expected, rel=1e-15)


def test_cut_off_metrics_by_hand() -> None:
    relevance = [F, T, T, F, T]
    assert [float(metrics.accuracy_at(relevance, k)) for k in (1, 2, 9)] == [0.0, 1.0, 1.0]
    assert [float(metrics.precision_at(relevance, k)) for k in (1, 3, 10)] == [0.0, 2 / 3, 0.3]
    assert [float(metrics.recall_at(relevance, k)) for k in (1, 3, 10)] == [0.0, 2 / 3, 1.0]
    assert float(metrics.first_relevant_rank(relevance)) == 2.0


def test_ndcg_by_hand() -> None:
    # Gains 3, 2, 3, 0, 1, 2: the example of Järvelin and Kekäläinen's form with linear gains.
    dcg = 3 + 2 / np.log2(3) + 3 / 2 + 0 + 1 / np.log2(6) + 2 / np.log2(7)
    ideal = 3 + 3 / np.log2(3) + 2 / 2 + 2 / np.log2(5) + 1 / np.log2(6)
    assert float(metrics.ndcg_at([3, 2, 3, 0, 1, 2], 6)) == pytest.approx(dcg / ideal)


def test_scikit_learn_agrees() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(2, 60))
        scores = np.sort(rng.permutation(n).astype(float))[::-1]
        relevance = rng.random(n) < 0.3
        gains = rng.random(n) * (rng.random(n) < 0.5)
        if relevance.any():
            expected = average_precision_score(relevance, scores)
            assert float(metrics.average_precision(relevance)) == pytest.approx(expected)
        if gains.any():
            k = int(rng.integers(1, n + 1))
            assert float(metrics.ndcg_at(gains, k)) == pytest.approx(ndcg_score([gains], [scores], k=k))


def _all(relevance: object) -> list[np.ndarray]:
    return [
        metrics.average_precision(relevance),  # type: ignore[arg-type]
        metrics.precision_at(relevance, 3),  # type: ignore[arg-type]
        metrics.recall_at(relevance, 3),  # type: ignore[arg-type]
        metrics.accuracy_at(relevance, 3),  # type: ignore[arg-type]
        metrics.first_relevant_rank(relevance),  # type: ignore[arg-type]
        metrics.ndcg_at(np.asarray(relevance, float), 3),
    ]


@settings(max_examples=50)
@given(st.lists(st.booleans(), min_size=1, max_size=20), st.integers(0, 5))
def test_padding_changes_nothing(relevance: list[bool], padding: int) -> None:
    np.testing.assert_allclose(_all(relevance), _all(relevance + [False] * padding), rtol=1e-14)


def test_leading_axes_are_kept() -> None:
    relevance = np.random.default_rng(0).random((4, 3, 12)) < 0.4
    for whole, single in zip(_all(relevance), _all(relevance[2, 1]), strict=True):
        assert whole.shape == (4, 3)
        assert whole[2, 1] == single


def test_without_a_relevant_case_there_is_no_value() -> None:
    for relevance in ([F, F], []):
        assert np.isnan(_all(relevance)).all()
    assert metrics.mean_average_precision([[F, F], [T, F]]) == 1.0
    assert np.isnan(metrics.mean_average_precision([[F, F]]))


def test_mean_known_of_nothing_is_silent_nan() -> None:
    assert np.isnan(metrics.mean_known([]))
    assert metrics.mean_known([[np.nan, 1.0], [np.nan, 3.0]], axis=0).tolist()[1] == 2.0
    assert np.isnan(metrics.mean_known([[np.nan, 1.0]], axis=0)[0])


def test_refused_input() -> None:
    with pytest.raises(ValueError, match="must be boolean or 0/1"):
        metrics.average_precision([0.3, 0.9])
    with pytest.raises(ValueError, match="must have a ranking axis"):
        metrics.accuracy_at(True, 1)
    for metric in (metrics.accuracy_at, metrics.precision_at, metrics.recall_at, metrics.ndcg_at):
        with pytest.raises(ValueError, match="at least 1, got 0"):
            metric([1, 0], 0)
    for gains in ([1.0, -0.5], [np.nan]):
        with pytest.raises(ValueError, match="gains must be"):
            metrics.ndcg_at(gains, 1)
    assert metrics.average_precision([1, 0, 1]) == metrics.average_precision([T, F, T])
