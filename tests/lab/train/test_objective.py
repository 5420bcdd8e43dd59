"""The objective against loops over single numbers, and its limits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dermquery.lab.train import objective
from tests.lab.reference import contrastive


@given(
    seed=st.integers(0, 2**31),
    queries=st.integers(1, 5),
    targets=st.integers(2, 6),
    grading=st.sampled_from([0.0, 1.0, 4.0]),
)
def test_supervised_contrastive_equals_the_slow_loss(seed: int, queries: int, targets: int, grading: float) -> None:
    g = torch.Generator().manual_seed(seed)
    scores = torch.rand(queries, targets, generator=g) * 2 - 1
    labels, others = (torch.randint(0, 3, (n,), generator=g) for n in (queries, targets))
    weights = objective.positive_weights(labels, others, torch.rand(queries, targets, generator=g), grading)
    allowed = torch.rand(queries, targets, generator=g) > 0.2
    allowed[:, 0] = True
    expected = contrastive.loss(scores.tolist(), weights.tolist(), allowed.tolist(), 0.2)
    assert objective.supervised_contrastive(scores, weights, allowed, 0.2).item() == pytest.approx(
        expected, rel=1e-4, abs=1e-5
    )


def test_no_positive_gives_zero_with_a_gradient() -> None:
    scores = torch.zeros(2, 2, requires_grad=True)
    value = objective.supervised_contrastive(scores, torch.zeros(2, 2), torch.ones(2, 2, dtype=torch.bool), 0.1)
    value.backward()
    assert value.item() == 0
    assert scores.grad is not None
    assert scores.grad.abs().sum() == 0


def test_perfect_scores_reach_the_entropy_of_the_positives() -> None:
    """With all positives far above all negatives the loss is log(number of positives), its minimum."""
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    weights = objective.positive_weights(labels, labels, torch.ones(6, 6), 0.0)
    own = ~torch.eye(6, dtype=torch.bool)
    value = objective.supervised_contrastive(weights * 2 - 1, weights, own, 0.05)
    assert value.item() == pytest.approx(math.log(2), abs=1e-4)


def test_agreement_counts_only_criteria_recorded_on_both_sides() -> None:
    codes = torch.tensor([[0, 1, -1, 2], [0, 2, 3, -1], [-1, -1, -1, -1]])
    expected = torch.tensor([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(objective.agreement_matrix(codes, codes), expected)


def test_grading_orders_positives_and_never_lifts_a_negative() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    agreement = torch.tensor([[1.0, 0.8, 0.2, 1.0]])
    weights = objective.positive_weights(labels[:1], labels, agreement, 4.0)[0]
    assert weights[0] > weights[1] > weights[2] > 0
    assert weights[3] == 0


def test_prototype_loss_is_the_cross_entropy_of_its_centres() -> None:
    blocks = torch.nn.functional.normalize(torch.randn(3, 2, 4), dim=-1)
    centres = torch.nn.functional.normalize(torch.randn(2, 1, 2, 4), dim=-1)
    weights, labels = torch.tensor([0.6, 0.4]), torch.tensor([0, 1, 1])
    logits = torch.stack([(blocks * centres[c, 0] * weights[None, :, None]).sum((1, 2)) / 0.1 for c in range(2)], dim=1)
    value = objective.prototype_loss(blocks, centres, weights, labels, 0.1)
    torch.testing.assert_close(value, torch.nn.functional.cross_entropy(logits, labels))
