"""Variety and likeness: hand-computed cases and what a collapsed ranking looks like."""

from __future__ import annotations

import numpy as np
import pytest

from dermquery.data.checklist import agreement
from dermquery.lab.evaluate import usefulness
from dermquery.lab.evaluate.ranking import rank
from tests.lab.evaluate.strategies import make_case, random_problem


def test_a_collapsed_ranking_is_exposed() -> None:
    cases = [make_case(f"{i:02d}") for i in range(40)]
    hub = rank(np.tile(np.arange(40.0), (40, 1)), cases, cases)
    assert usefulness.coverage_at(hub.order, 40, k=5) == 6 / 40  # the five last ones, and one more for those five
    assert usefulness.largest_occurrence_at(hub.order, k=5) == 39 / 40
    ring = rank(-np.abs(np.subtract.outer(np.arange(40.0), np.arange(40.0) + 0.1)), cases, cases)
    assert usefulness.coverage_at(ring.order, 40, k=5) == 1.0
    assert usefulness.largest_occurrence_at(ring.order, k=5) <= 8 / 40


def test_padding_is_no_case() -> None:
    order = np.array([[1, -1, -1], [-1, -1, -1]])
    assert usefulness.coverage_at(order, 3, k=2) == 1 / 3
    assert usefulness.largest_occurrence_at(order, k=2) == 0.5
    assert np.isnan(usefulness.largest_occurrence_at(np.empty((0, 3), np.int32)))
    assert np.isnan(usefulness.coverage_at(np.empty((2, 0), np.int32), 0))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        usefulness.coverage_at(order, 3, k=0)


def test_encode_checklist_follows_the_vocabulary() -> None:
    case = make_case("a", checklist={"streaks": "irregular", "blue_whitish_veil": "absent"})
    assert usefulness.encode_checklist([case]).tolist() == [[-1, 2, -1, -1, -1, 0, -1]]
    assert usefulness.encode_checklist([]).shape == (0, 7)


def test_agreement_by_hand() -> None:
    query = make_case("q", checklist={"streaks": "regular", "pigment_network": "typical"})
    gallery = [
        make_case("a", checklist={"streaks": "regular", "pigment_network": "atypical", "blue_whitish_veil": "present"}),
        make_case("b", checklist={"pigment_network": "typical"}),
        make_case("c", checklist={"vascular_structures": "comma"}),
    ]
    ranking = rank([[3.0, 2.0, 1.0]], [query], gallery)
    assert usefulness.checklist_agreement_at(ranking, 1).tolist() == [0.5]
    assert usefulness.checklist_agreement_at(ranking, 2).tolist() == [0.75]
    assert usefulness.checklist_agreement_at(ranking, 3).tolist() == [0.75], "c shares no criterion and is left out"
    last = rank([[1.0, 2.0, 3.0]], [query], gallery)
    assert np.isnan(usefulness.checklist_agreement_at(last, 1)).all()


def test_gains_use_the_same_agreement_as_the_rest_of_the_package() -> None:
    ranking = random_problem(3, 6, 15).rank()
    gains = usefulness.graded_gains(ranking)
    for q, query in enumerate(ranking.queries):
        for place, index in enumerate(ranking.order[q]):
            if index < 0:
                assert gains[q, place] == 0
                continue
            hit = ranking.gallery[index]
            same = (query.diagnosis == hit.diagnosis) + (
                query.fine_diagnosis is not None and query.fine_diagnosis == hit.fine_diagnosis
            )
            assert gains[q, place] == pytest.approx(same + agreement(query.checklist, hit.checklist))


def test_fine_precision_by_hand() -> None:
    queries = [make_case("p", fine_diagnosis="clark nevus"), make_case("q", fine_diagnosis="blue nevus")]
    gallery = [make_case("a", fine_diagnosis="clark nevus"), make_case("b"), make_case("c", fine_diagnosis="x")]
    ranking = rank(np.zeros((2, 3)), queries, gallery)
    assert usefulness.fine_precision_at(ranking, 5)[0] == 1 / 5
    assert np.isnan(usefulness.fine_precision_at(ranking, 5)[1]), "no blue nevus could have been found"
