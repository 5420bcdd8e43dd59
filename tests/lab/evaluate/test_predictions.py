"""Predictions on disk say what the ranking said that they were made from; precision over recall is its definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dermquery.data.case import Case
from dermquery.lab.evaluate.curves import RECALLS, precision_recall
from dermquery.lab.evaluate.predictions import read_predictions, write_predictions
from dermquery.lab.evaluate.ranking import rank


def cases(n: int) -> list[Case]:
    labels = ("mel", "nv", "bkl")
    return [Case(case_id=f"c{i}", image=Path(f"{i}.png"), diagnosis=labels[i % 3]) for i in range(n)]


def test_a_ranking_survives_the_disk(tmp_path: Path) -> None:
    queries, gallery = cases(4), cases(9)
    rng = np.random.default_rng(0)
    scores, local = rng.normal(size=(4, 9)).astype(np.float32), rng.normal(size=(4, 9)).astype(np.float32)
    ranking = rank(scores, queries, gallery)
    write_predictions(tmp_path / "a.parquet", ranking, {"local": local})
    again, parts = read_predictions(tmp_path / "a.parquet", queries, gallery)
    np.testing.assert_array_equal(again.order, ranking.order)
    np.testing.assert_array_equal(again.scores, ranking.scores)
    assert (again.order[:, -1] == -1).all(), "a query does not retrieve itself"
    for i in range(4):
        expected = [local[i, j] for j in ranking.order[i] if j >= 0]
        np.testing.assert_array_equal(parts["local"][i, :8], expected)


def test_predictions_of_another_fold_are_refused(tmp_path: Path) -> None:
    queries, gallery = cases(3), cases(6)
    write_predictions(tmp_path / "a.parquet", rank(np.zeros((3, 6)), queries, gallery))
    with pytest.raises(ValueError, match="other queries"):
        read_predictions(tmp_path / "a.parquet", queries[:2], gallery)
    with pytest.raises(ValueError, match="not in the gallery"):
        read_predictions(tmp_path / "a.parquet", queries, gallery[:5])


@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 5), st.integers(1, 12))))
def test_precision_over_recall_is_the_slow_definition(
    relevance: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
) -> None:
    rows = []
    for row in relevance:
        total = int(row.sum())
        if total:
            points = []
            for recall in RECALLS:
                reached = [row[:n].mean() for n in range(1, len(row) + 1) if row[:n].sum() >= recall * total - 1e-9]
                points.append(max(p for n, p in enumerate(reached)) if reached else 0.0)
            rows.append(points)
    found = precision_recall(relevance)
    if rows:
        np.testing.assert_allclose(found, np.mean(rows, axis=0))
        assert (np.diff(found) <= 1e-12).all()
    else:
        assert np.isnan(found).all()
