"""Coverage on simulated data, clusters, the paired test's size and power, and Holm."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, permutation_test

from dermquery.lab.evaluate.intervals import (
    bootstrap_interval,
    bootstrap_means,
    by_class,
    holm,
    paired_test,
    percentile_interval,
)


def _covered(clustered: bool) -> float:
    """Share of 200 simulated samples (40 lesions of 5 images) whose interval holds the true mean 0.5."""
    rng = np.random.default_rng(1)
    inside = 0
    groups = np.repeat(np.arange(40), 5)
    for trial in range(200):
        values = np.repeat(rng.random(40), 5) * 0.9 + 0.1 * rng.random(200)
        low, high = bootstrap_interval(values, groups=groups.tolist() if clustered else None, n_boot=300, seed=trial)
        inside += low <= 0.5 <= high
    return inside / 200


def test_coverage_needs_the_groups() -> None:
    low, high = binom.interval(0.998, 200, 0.94)  # percentile intervals of 40 groups are slightly narrow
    assert low / 200 <= _covered(clustered=True) <= high / 200
    assert _covered(clustered=False) < 0.75, "images of one lesion counted as independent give too narrow intervals"


def test_interval_of_independent_values_is_the_normal_one() -> None:
    values = np.random.default_rng(0).random(800)
    low, high = bootstrap_interval(values, n_boot=4000)
    half = 1.96 * values.std() / np.sqrt(800)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_nan_is_left_out_and_the_seed_repeats() -> None:
    values = np.random.default_rng(0).random(50)
    with_gaps = np.append(values, [np.nan] * 3)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)
    assert bootstrap_interval(with_gaps, n_boot=3000).low == pytest.approx(
        bootstrap_interval(values, n_boot=3000).low, abs=0.02
    )


def test_too_little_to_say_anything() -> None:
    assert np.isnan(bootstrap_interval([0.3])).all()
    assert np.isnan(bootstrap_interval([0.3, 0.4], groups=["a", "a"])).all()
    assert np.isnan(bootstrap_interval([np.nan, 0.4])).all()
    assert np.isnan(bootstrap_interval([])).all()
    assert np.isnan(percentile_interval([np.nan])).all()
    with pytest.raises(ValueError, match="between 0 and 1, got 95"):
        percentile_interval([1.0], level=95)
    with pytest.raises(ValueError, match="1 groups for 2 queries"):
        bootstrap_interval([1.0, 2.0], groups=["a"])


def test_bootstrap_means_match_explicit_resampling() -> None:
    rng = np.random.default_rng(5)
    values, groups = rng.random((30, 2)), rng.integers(0, 12, 30)
    values[rng.random((30, 2)) < 0.2] = np.nan
    fast = bootstrap_means(values, groups=groups.tolist(), n_boot=3000)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    slow = []
    for _ in range(3000):
        drawn = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        slow.append(np.nanmean(values[drawn], axis=0))
    np.testing.assert_allclose(fast.mean(axis=0), np.mean(slow, axis=0), atol=0.01)
    np.testing.assert_allclose(fast.std(axis=0), np.std(slow, axis=0), rtol=0.1)


def test_macro_interval_surrounds_the_macro_mean() -> None:
    values = np.array([0.9] * 60 + [0.1] * 20) + np.random.default_rng(0).normal(0, 0.05, 80)
    classes = ["a"] * 60 + ["b"] * 20
    macro, micro = bootstrap_interval(values, classes=classes), bootstrap_interval(values)
    assert macro.low < 0.5 < macro.high < micro.low
    labels, columns = by_class(values[:, None], classes)
    assert labels == ["a", "b"]
    assert np.nanmean(columns, axis=0) == pytest.approx([values[:60].mean(), values[60:].mean()])


def test_paired_test_equals_scipy() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.random(40), rng.random(40) - 0.12
    ours = paired_test(a, b, n_permutations=20_000)
    scipy = permutation_test(
        (a, b),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    )
    assert ours.p_value == pytest.approx(scipy.pvalue, abs=0.01)
    assert ours.difference == pytest.approx((a - b).mean())
    assert ours.interval.low < ours.difference < ours.interval.high


def test_paired_test_keeps_its_level_with_groups() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(30), 4).tolist()
    rejected = {True: 0, False: 0}
    for _ in range(200):
        difference = np.repeat(rng.normal(size=30), 4)
        for grouped in rejected:
            test = paired_test(difference, np.zeros(120), groups=groups if grouped else None, n_permutations=200)
            rejected[grouped] += test.p_value <= 0.05
    assert rejected[True] <= binom.ppf(0.999, 200, 0.05)
    assert rejected[False] > 40, "four copies of each difference counted as independent reject far too often"


def test_paired_test_of_equal_systems_and_of_gaps() -> None:
    same = paired_test([0.5, 1.0, np.nan], [0.5, 1.0, 0.2], n_permutations=100)
    assert (same.difference, same.p_value, same.n) == (0.0, 1.0, 2)
    with pytest.raises(ValueError, match="no query has a value for both"):
        paired_test([np.nan], [1.0])
    with pytest.raises(ValueError, match="one value per query for both"):
        paired_test([1.0], [1.0, 2.0])


def test_holm_by_hand() -> None:
    # Sorted .005 .011 .02 .04 times 4 3 2 1 is .02 .033 .04 .04.
    assert holm([0.02, 0.04, 0.005, 0.011]) == pytest.approx([0.04, 0.04, 0.02, 0.033])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([1.2])
