"""The score of three parts is one inner product, whatever the weights, levels and heads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.model.alignment import BlockLayout
from dermquery.model.heads import VALUES, asked_values, recorded_values
from dermquery.model.parts import PAPER, PartLayout, Weights
from dermquery.model.presets import choose, default_preset, presets_of

SHARES = st.floats(0, 1)
WEIGHTS = st.builds(
    Weights,
    meaning=st.floats(0.01, 3),
    findings=st.floats(0, 3),
    look=st.floats(0, 3),
    posterior=SHARES,
    local_weight=SHARES,
)
LAYOUTS = st.builds(
    lambda levels, width, diagnoses, look: PartLayout(
        BlockLayout(tuple(f"level {i}" for i in range(levels)), width), diagnoses, look
    ),
    st.integers(1, 4),
    st.integers(2, 9),
    st.sampled_from([0, 1, 7]),
    st.sampled_from([0, 5]),
)
TERMS = [{"streaks": "absent"}, {}, {"streaks": "irregular", "pigment_network": "atypical"}]


def vectors(layout: PartLayout, n: int, seed: int, *, asking: bool) -> np.ndarray:
    """Random vectors of cases, or of queries."""
    rng = np.random.default_rng(seed)
    blocks = rng.normal(size=(n, 2 * len(layout.blocks.levels), layout.blocks.width)).astype(np.float32)
    blocks /= np.linalg.norm(blocks, axis=-1, keepdims=True)
    posterior = rng.dirichlet(np.ones(layout.diagnoses), n).astype(np.float32) if layout.diagnoses else None
    belief = None if posterior is None else np.sqrt(posterior)
    look = rng.normal(size=(n, layout.look)).astype(np.float32) if layout.look else None
    if look is not None:
        look /= np.linalg.norm(look, axis=1, keepdims=True)
    terms = [TERMS[i % 3] for i in range(n)]
    found = asked_values(terms) if asking else recorded_values(terms)
    return layout.joined(blocks.reshape(n, -1), belief, found, look)


@given(layout=LAYOUTS, weights=WEIGHTS, seed=st.integers(0, 2**31))
def test_the_score_is_one_inner_product_and_the_sum_of_its_parts(
    layout: PartLayout, weights: Weights, seed: int
) -> None:
    queries, cases = vectors(layout, 3, seed, asking=True), vectors(layout, 4, seed + 1, asking=False)
    score = layout.score(queries, cases, weights)
    np.testing.assert_allclose(layout.weigh(queries, weights) @ cases.T, score, atol=2e-5)
    parts = layout.parts(queries, cases, weights)
    total = weights.meaning * parts.meaning + weights.findings * parts.findings + weights.look * parts.look
    np.testing.assert_allclose(score, total, atol=2e-5)
    asked, held, at = queries.astype(float), cases.astype(float), layout.slices
    local, whole = np.split(asked[:, None, at["blocks"]] * held[None, :, at["blocks"]], 2, axis=2)
    levels, share = len(layout.blocks.levels), weights.posterior if layout.diagnoses else 0.0
    aligned = (weights.local_weight * local.sum(-1) + (1 - weights.local_weight) * whole.sum(-1)) / levels
    agreed = asked[:, at["posterior"]] @ held[:, at["posterior"]].T
    np.testing.assert_allclose(parts.meaning, (1 - share) * aligned + share * agreed, atol=2e-5)
    for name in ("findings", "look"):
        np.testing.assert_allclose(getattr(parts, name), asked[:, at[name]] @ held[:, at[name]].T, atol=2e-5)


@given(layout=LAYOUTS, local_weight=SHARES, seed=st.integers(0, 2**31))
def test_meaning_alone_is_equation_9_to_the_last_digit(layout: PartLayout, local_weight: float, seed: int) -> None:
    queries, cases = vectors(layout, 3, seed, asking=True), vectors(layout, 4, seed + 1, asking=False)
    part = layout.slices["blocks"]
    expected = layout.blocks.score(queries[:, part], cases[:, part], local_weight)
    assert np.array_equal(layout.score(queries, cases, Weights(meaning=1, local_weight=local_weight)), expected)


@given(layout=LAYOUTS, seed=st.integers(0, 2**31))
def test_a_case_asks_for_its_findings_and_what_is_moved_is_a_query_again(layout: PartLayout, seed: int) -> None:
    cases = vectors(layout, 4, seed, asking=False)
    asking, at = layout.asking(cases), layout.slices
    np.testing.assert_allclose(asking[:, at["findings"]], asked_values([TERMS[i % 3] for i in range(4)]), atol=1e-6)
    moved = layout.normalised(asking * 3, asking)
    np.testing.assert_allclose(moved, asking, atol=1e-5)
    assert np.array_equal(layout.normalised(np.zeros_like(asking), asking), asking)
    assert (layout.normalised(-asking, asking)[:, at["findings"]] >= 0).all()


def test_vectors_of_another_layout_and_weights_without_sense_are_refused() -> None:
    layout = PartLayout(BlockLayout(("low",), 4))
    with pytest.raises(ValueError, match=r"\(2, 7\).*expected \(n, 36\)"):
        layout.weigh(np.zeros((2, 7)))
    for wrong in ({"meaning": 0}, {"look": -1}, {"posterior": 1.5}, {"findings": float("nan")}, {"colour": 1}):
        with pytest.raises(ValueError, match="validation error"):
            Weights(**wrong)
    assert layout.size == 8 + len(VALUES)


def test_presets_and_weights_as_they_are_written() -> None:
    blocks = BlockLayout(("low",), 4)
    plain = presets_of(PartLayout(blocks), {})
    assert (list(plain), default_preset(plain)) == (["paper", "same findings"], "paper")
    own = Weights(meaning=1, findings=0.4, look=0.2, posterior=0.5, local_weight=0.3)
    full = presets_of(PartLayout(blocks, 3, 8), {"balanced": own})
    assert set(full) == {"balanced", "paper", "same findings", "look-alikes"}
    assert choose(full) == ("balanced", own)
    assert choose(full, "paper") == ("paper", PAPER)
    assert choose(full, PAPER.model_copy()) == ("paper", PAPER)
    assert choose(full, "paper", 0.2) == (None, Weights(meaning=1, local_weight=0.2))
    written = choose(full, " meaning=1, findings=.5 ,look=.3")
    assert written == (None, Weights(meaning=1, findings=0.5, look=0.3, posterior=0.5, local_weight=0.3))
    assert choose(plain, "findings=1").weights == Weights(findings=1)
    assert choose(full, {"meaning": 1, "findings": 0.5, "look": 0.3}) == written
    assert (
        choose(full, {"look": 1}).weights
        == choose(full, "look=1").weights
        == own.model_copy(update={"meaning": 0, "findings": 0, "look": 1})
    )
    assert choose(full, " Same Findings ").preset == "same findings"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("best", r"cannot read the weights 'best'; give the name of a preset \(paper, same findings\), or weights"),
        ("meaning=1,colour=2", "cannot read the weights"),
        ("meaning=much", "'meaning=much' is no number; write for example meaning=.5"),
        ("meaning=-1", "meaning: Input should be greater than or equal to 0; got -1"),
        ("look=0", "every part weighs nothing"),
        ("meaning=1e-300", "every part weighs nothing"),
        ("meaning=1,meaning=2", "meaning stands there twice"),
        ({"meaning": "much"}, "'meaning=much' is no number"),
        ({"meaning": 10**400}, "is no number"),
        ({"mening": 1}, r"cannot read the weights \{'mening': 1\}; give the name of a preset"),
        ((1, 0, 0), r"cannot read the weights \(1, 0, 0\)"),
    ],
)
def test_weights_that_cannot_be_read_are_named(written: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        choose(presets_of(PartLayout(BlockLayout(("low",), 4)), {}), written)
