"""The identity "score = one inner product" (design, section 2), for random weights and numbers of levels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.model.alignment import BlockLayout


def unit_vectors(rng: np.random.Generator, n: int, layout: BlockLayout) -> np.ndarray:
    blocks = rng.normal(size=(n, 2 * len(layout.levels), layout.width))
    unit = blocks / np.linalg.norm(blocks, axis=-1, keepdims=True)
    return np.asarray(unit.reshape(n, -1), dtype=np.float32)


@given(
    seed=st.integers(0, 2**31),
    levels=st.integers(1, 5),
    width=st.integers(1, 9),
    local_weight=st.floats(0, 1),
)
def test_score_is_one_inner_product_of_weighed_query_and_stored_case(
    seed: int, levels: int, width: int, local_weight: float
) -> None:
    layout = BlockLayout(tuple(f"level {i}" for i in range(levels)), width)
    rng = np.random.default_rng(seed)
    queries, cases = unit_vectors(rng, 3, layout), unit_vectors(rng, 4, layout)
    q, x = (v.reshape(len(v), 2, levels, width).astype(np.float64) for v in (queries, cases))
    cosines = np.einsum("npld,mpld->nmpl", q, x)  # (query, case, part, level)
    local, global_ = cosines[:, :, 0].mean(-1), cosines[:, :, 1].mean(-1)
    expected = local_weight * local + (1 - local_weight) * global_
    np.testing.assert_allclose(layout.score(queries, cases, local_weight), expected, atol=2e-6)
    np.testing.assert_allclose(layout.weigh(queries, local_weight) @ cases.T, expected, atol=2e-6)
    for part, reference in zip(layout.parts(queries, cases), (local, global_), strict=True):
        np.testing.assert_allclose(part, reference, atol=2e-6)


@pytest.mark.parametrize("local_weight", [-0.1, 1.1, float("nan")])
def test_weight_outside_the_convex_range_is_refused(local_weight: float) -> None:
    with pytest.raises(ValueError, match=r"between 0 .* and 1"):
        BlockLayout(("low",), 4).weigh(np.zeros((1, 8)), local_weight)


def test_vectors_of_another_layout_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 7\).*expected \(n, 8\)"):
        BlockLayout(("low",), 4).score(np.zeros((1, 8)), np.zeros((2, 7)))
