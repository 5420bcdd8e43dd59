"""Heads on made-up features: what they predict, what they must not look at, and laws of the posterior."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.lab.train.heads import HeadFit, fit_heads, look_projection
from dermquery.model.heads import VALUES, asked_values, recorded_values

DIAGNOSES = ("bkl", "mel", "nv")
FEATURES = 12


def made_up(n: int, seed: int = 0) -> tuple[NDArray[np.float32], list[Case]]:
    """Features that hold the diagnosis in the first columns, one finding in the fourth, and a lesion in the others."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    atypical = rng.random(n) < np.where(labels == 1, 0.8, 0.2)
    pooled = rng.normal(0, 1, (n, FEATURES)).astype(np.float32)
    pooled[np.arange(n), labels] += 2.5
    pooled[:, 3] += 3 * atypical
    cases = [
        Case(
            case_id=f"c{i}",
            image=Path("none"),
            diagnosis=DIAGNOSES[label],
            source="a" if i % 2 else "b",
            checklist={"pigment_network": "atypical" if odd else "typical", "streaks": "absent"},
        )
        for i, (label, odd) in enumerate(zip(labels, atypical, strict=True))
    ]
    return pooled, cases


@pytest.fixture(scope="module")
def fitted() -> HeadFit:
    return fit_heads(*made_up(1200))


def test_heads_predict_what_the_features_hold(fitted: HeadFit) -> None:
    pooled, cases = made_up(3000, seed=1)
    heads = fitted.heads
    guessed = [heads.diagnoses[i] for i in heads.posterior(pooled).argmax(axis=1)]
    assert np.mean([g == c.diagnosis for g, c in zip(guessed, cases, strict=True)]) > 0.85
    values = heads.predicted_values(pooled)
    atypical = values[:, VALUES.index(("pigment_network", "atypical"))]
    truth = np.array([c.checklist["pigment_network"] == "atypical" for c in cases])
    assert atypical[truth].mean() > atypical[~truth].mean() + 0.5
    # Calibrated: of the cases with about this chance, about this share has the finding.
    for low in (0.0, 0.25, 0.5, 0.75):
        among = (atypical >= low) & (atypical < low + 0.25)
        assert abs(atypical[among].mean() - truth[among].mean()) < 0.12


def test_values_that_were_never_recorded_stay_improbable(fitted: HeadFit) -> None:
    values = fitted.heads.predicted_values(made_up(50)[0])
    assert values[:, VALUES.index(("streaks", "irregular"))].max() < 0.01
    assert values[:, VALUES.index(("streaks", "absent"))].min() > 0.98


def test_probabilities_sum_to_one(fitted: HeadFit) -> None:
    pooled, cases = made_up(40, seed=2)
    values = fitted.heads.predicted_values(pooled)
    for name in CRITERIA:
        mine = [i for i, (criterion, _) in enumerate(VALUES) if criterion == name]
        np.testing.assert_allclose(values[:, mine].sum(axis=1), 1, rtol=1e-5)
    for terms in (None, [dict(c.checklist) for c in cases]):
        np.testing.assert_allclose(fitted.heads.posterior(pooled, terms).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(fitted.heads.look_of(pooled), axis=1), 1, rtol=1e-5)


def test_experts_multiply(fitted: HeadFit) -> None:
    """``p(y | x, t) ∝ p(y | x) p(y | t) / p(y)``; each alone answers where the other is not given."""
    pooled, cases = made_up(30, seed=3)
    terms = [dict(c.checklist) for c in cases]
    heads = fitted.heads
    image, words = heads.posterior(pooled), heads.posterior(None, terms)
    product = image * words / heads.prior
    product /= product.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(heads.posterior(pooled, terms), product, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(heads.posterior(pooled, [{}] * 30), image, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(heads.posterior(None, [{}]), heads.prior[None], rtol=1e-4)


def test_a_source_of_another_mixture_does_not_move_the_prior() -> None:
    """A table of nevi alone, without findings, must not make every image a nevus."""
    pooled, cases = made_up(300)
    rng = np.random.default_rng(5)
    more = rng.normal(0, 1, (900, FEATURES)).astype(np.float32)
    more[:, 2] += 2.5
    nevi = [Case(case_id=f"n{i}", image=Path("none"), diagnosis="nv", source="c") for i in range(900)]
    alone, joined = fit_heads(pooled, cases).heads, fit_heads(np.concatenate([pooled, more]), [*cases, *nevi]).heads
    asked, _ = made_up(300, seed=6)
    shift = joined.posterior(asked).mean(axis=0) - alone.posterior(asked).mean(axis=0)
    assert np.abs(shift).max() < 0.06
    np.testing.assert_allclose(joined.prior, alone.prior)


def test_a_diagnosis_that_only_another_source_has_gets_half_its_share_there() -> None:
    pooled, cases = made_up(300)
    names = ["nv"] * 60 + ["bcc"] * 40
    further = [Case(case_id=f"n{i}", image=Path("none"), diagnosis=d, source="c") for i, d in enumerate(names)]
    rows = np.random.default_rng(5).normal(0, 1, (100, FEATURES)).astype(np.float32)
    heads = fit_heads(np.concatenate([pooled, rows]), [*cases, *further]).heads
    share = dict(zip(heads.diagnoses, heads.prior.tolist(), strict=True))
    assert share["bcc"] == pytest.approx(41 / (100 + len(share)) / 2, rel=1e-6)
    counts = {name: sum(case.diagnosis == name for case in cases) + 1 for name in share if name != "bcc"}
    for name, count in counts.items():
        assert share[name] == pytest.approx((1 - share["bcc"]) * count / sum(counts.values()), rel=1e-6)


def test_the_look_forgets_what_differs_within_a_lesion() -> None:
    rng = np.random.default_rng(0)
    lesions = rng.normal(0, 1, (200, FEATURES))
    lighting = np.zeros(FEATURES)
    lighting[0] = 6
    photographs = np.repeat(lesions, 2, axis=0) + rng.normal(0, 0.1, (400, FEATURES))
    photographs += rng.normal(0, 1, (400, 1)) * lighting
    standard = ((photographs - photographs.mean(0)) / photographs.std(0)).astype(np.float32)
    groups = [f"l{i // 2}" for i in range(400)]

    def found(vectors: NDArray[np.float32]) -> float:
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        scores = unit @ unit.T
        np.fill_diagonal(scores, -2)
        return float(np.mean([groups[i] == groups[j] for i, j in enumerate(scores.argmax(axis=1))]))

    assert found(standard @ look_projection(standard, groups, 8).T) > 0.95
    alone = look_projection(standard, [str(i) for i in range(400)], 8)
    assert alone.shape == (8, FEATURES)
    assert found(standard @ alone.T) < 0.9


@given(st.lists(st.sampled_from([(n, v) for n, c in CRITERIA.items() for v in c.values]), max_size=7))
@settings(max_examples=50, deadline=None)
def test_asked_values_are_a_share_of_what_was_asked(items: list[tuple[str, str]]) -> None:
    terms = dict(items)
    (asked,) = asked_values([terms])
    (recorded,) = recorded_values([terms])
    assert asked.sum() == pytest.approx(1.0 if terms else 0.0)
    assert float(asked @ recorded) == pytest.approx(1.0 if terms else 0.0), "a case that has all of it has a score of 1"


def test_recorded_values_stand_before_predicted_ones() -> None:
    predicted = np.full((1, len(VALUES)), 0.25, np.float32)
    (values,) = recorded_values([{"streaks": "regular"}], predicted)
    for value, (name, word) in zip(values, VALUES, strict=True):
        assert value == (float(word == "regular") if name == "streaks" else 0.25)


def test_heads_without_findings_are_refused() -> None:
    pooled, cases = made_up(30)
    with pytest.raises(ValueError, match="recorded checklist"):
        fit_heads(pooled, [case.model_copy(update={"checklist": {}}) for case in cases])
