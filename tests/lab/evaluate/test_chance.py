"""The closed forms of a random order against enumeration, and against the numbers measured on Derm7pt."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from dermquery.data.case import Case
from dermquery.lab.evaluate import metrics, usefulness
from dermquery.lab.evaluate.per_query import chance_label_metrics, label_metrics
from dermquery.lab.evaluate.ranking import rank
from dermquery.lab.evaluate.result_block import evaluate_ranking
from tests.lab.evaluate.strategies import make_case
from tests.lab.evaluate.test_common import CHANCE
from tests.lab.reference import naive_evaluation as naive

Closed = Callable[[int, int], object]
FORMS: list[tuple[str, Closed, Callable[[list[bool]], float]]] = [
    ("ap", metrics.chance_average_precision, naive.average_precision),
    *(
        (f"{name}@{k}", partial(closed, k=k), partial(slow, k=k))
        for name, closed, slow in (
            ("acc", metrics.chance_accuracy_at, naive.accuracy_at),
            ("p", metrics.chance_precision_at, naive.precision_at),
            ("r", metrics.chance_recall_at, naive.recall_at),
        )
        for k in (1, 3, 5, 20)
    ),
]


def test_every_chance_form_is_checked_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in CHANCE if f".{name}" not in source] == []


@pytest.mark.parametrize(("closed", "slow"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_closed_form_is_the_mean_over_all_orders(closed: Closed, slow: Callable[[list[bool]], float]) -> None:
    for n in range(1, 10):
        for r in range(1, n + 1):
            assert float(np.asarray(closed(n, r))) == pytest.approx(naive.expectation(slow, n, r), abs=1e-9), (n, r)


@pytest.mark.parametrize("closed", [form[1] for form in FORMS], ids=[form[0] for form in FORMS])
def test_without_a_relevant_case_nothing_is_defined(closed: Closed) -> None:
    assert np.isnan(np.asarray(closed(5, 0)))
    assert np.isnan(np.asarray(closed(0, 0)))
    with pytest.raises(ValueError, match="between 0 and the number of gallery cases"):
        closed(3, 4)


@pytest.mark.parametrize("k", [1, 2, 3, 9])
def test_chance_ndcg_at_is_the_mean_over_all_orders(k: int) -> None:
    gains = [2.5, 0.0, 1.0, 1.0, 0.25]
    expected = np.mean([naive.ndcg_at(order, k) for order in itertools.permutations(gains)])
    assert float(metrics.chance_ndcg_at(gains, k)) == pytest.approx(expected)
    assert float(metrics.chance_ndcg_at([*gains, 0.0, 0.0], k, n=5)) == pytest.approx(expected), "padding counts not"


def _small() -> list[Case]:
    return [
        make_case("a", "nevus", fine_diagnosis="x", checklist={"streaks": "regular", "pigment_network": "typical"}),
        make_case("b", "nevus", fine_diagnosis="x", checklist={"streaks": "regular", "pigment_network": "atypical"}),
        make_case("c", "melanoma", fine_diagnosis="y", lesion_id="1", checklist={"streaks": "irregular"}),
        make_case("d", "nevus", fine_diagnosis="z", lesion_id="1", checklist={"pigment_network": "typical"}),
        make_case("e", "melanoma", fine_diagnosis="y", checklist={}),
    ]


def test_usefulness_by_chance_is_the_mean_over_all_orders() -> None:
    """chance_fine_precision_at, chance_graded_ndcg_at and chance_agreement, for each query of a small gallery."""
    cases = _small()
    found: dict[str, list[list[float]]] = {"fine": [], "ndcg": [], "agreement": []}
    for order in itertools.permutations(range(len(cases))):
        ranking = rank(np.tile(np.array(order, np.float64), (len(cases), 1)), cases, cases)
        found["fine"].append(usefulness.fine_precision_at(ranking, 2).tolist())
        found["ndcg"].append(usefulness.graded_ndcg_at(ranking, 2).tolist())
        found["agreement"].append(usefulness.checklist_agreement_at(ranking, 2).tolist())
    means = {name: metrics.mean_known(values, axis=0) for name, values in found.items()}
    np.testing.assert_allclose(usefulness.chance_fine_precision_at(ranking, 2), means["fine"])
    np.testing.assert_allclose(usefulness.chance_graded_ndcg_at(ranking, 2), means["ndcg"])
    np.testing.assert_allclose(usefulness.chance_agreement(ranking), means["agreement"])


def test_chance_coverage_at_is_the_mean_over_all_orders() -> None:
    cases = _small()[1:]  # c and d are one lesion, so queries have two or three admissible cases
    orders = list(itertools.permutations(range(4)))
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(2000):  # whose mean has a standard error of less than .004
        scores = np.array([orders[i] for i in rng.integers(len(orders), size=4)], np.float64)
        ranking = rank(scores, cases, cases)
        shares.append(usefulness.coverage_at(ranking.order, 4, k=1))
    expected = 1 - np.array([1 * 0.5 * 0.5 * (2 / 3), (2 / 3) ** 2, (2 / 3) ** 2, (2 / 3) * 0.5 * 0.5]).mean()
    assert usefulness.chance_coverage_at(ranking.order, k=1) == pytest.approx(expected)
    assert np.mean(shares) == pytest.approx(expected, abs=0.015)


def test_derm7pt_sizes_give_the_measured_chance_values() -> None:
    """Design section 3: on 252/575/61 with four fifths as gallery, Acc@1 .50, Acc@4 .86, mAP .51."""
    counts = np.array([252, 575, 61])
    n, r = np.full(3, 888 * 0.8), counts * 0.8
    chance = {name: float(np.average(v, weights=counts)) for name, v in chance_label_metrics(n, r).items()}
    assert chance["acc@1"] == pytest.approx(0.50, abs=0.006)
    assert chance["acc@4"] == pytest.approx(0.86, abs=0.006)
    assert chance["map"] == pytest.approx(0.51, abs=0.006)


def test_random_scores_on_derm7pt_sizes_meet_the_closed_form() -> None:
    labels = ["melanoma"] * 252 + ["nevus"] * 575 + ["bkl"] * 61
    cases = [make_case(f"{i:03d}", label) for i, label in enumerate(labels)]
    queries, gallery = cases[::5], [case for i, case in enumerate(cases) if i % 5]
    scores = np.random.default_rng(3).random((len(queries), len(gallery)))
    block = evaluate_ranking(rank(scores, queries, gallery), protocol="seen", n_boot=50)
    assert block.chance["acc@1"] == pytest.approx(0.50, abs=0.01)
    assert block.chance["acc@4"] == pytest.approx(0.86, abs=0.01)
    assert block.chance["map"] == pytest.approx(0.51, abs=0.01)
    assert block.micro["map"] == pytest.approx(block.chance["map"], abs=0.01)
    assert block.micro["acc@4"] == pytest.approx(block.chance["acc@4"], abs=0.08)
    assert block.macro["map"] == pytest.approx(block.chance_macro["map"], abs=0.01)
    assert block.usefulness["coverage@5"] == pytest.approx(block.chance_usefulness["coverage@5"], abs=0.05)


def test_chance_columns_mirror_the_metrics() -> None:
    ones = np.ones(1)
    assert list(chance_label_metrics(ones * 9, ones)) == list(label_metrics(np.ones((1, 9), np.bool_)))
