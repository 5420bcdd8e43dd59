"""The objective as pure functions on scores: supervised contrastive over (graded) label positives, and side terms."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["agreement_matrix", "block_scores", "positive_weights", "prototype_loss", "supervised_contrastive"]


def block_scores(queries: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of cosines between unit blocks: (B, 2·L, d), (N, 2·L, d) and (2·L,) weights to scores (B, N).

    With ``BlockLayout.block_weights(λ)`` this is equation 9; with λ = 1 or 0 it is equation 7 or 8.
    """
    return torch.einsum("qbd,nbd->qn", queries * weights[None, :, None], targets)


def agreement_matrix(codes: Tensor, other: Tensor) -> Tensor:
    """Share of the criteria, among those recorded on both sides, that agree; codes (B, 7) and (N, 7), −1 missing."""
    both = (codes[:, None] >= 0) & (other[None] >= 0)
    same = (codes[:, None] == other[None]) & both
    return same.sum(-1) / both.sum(-1).clamp_min(1)


def positive_weights(labels: Tensor, other_labels: Tensor, agreement: Tensor, grading: float) -> Tensor:
    """Weights (B, N): zero across labels, (share of agreeing criteria)**grading within; equation 1 at grading 0."""
    same = (labels[:, None] == other_labels[None]).float()
    if grading == 0:
        return same
    # A small floor keeps a class whose criteria nobody recorded from losing all its positives.
    return same * agreement.clamp_min(0.05) ** grading


def supervised_contrastive(scores: Tensor, weights: Tensor, allowed: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, L_out) with weighted positives.

    ``−mean_i Σ_j w_ij log softmax_j(s_ij/τ) / Σ_j w_ij`` over the queries with a positive.

    Args:
        scores: (B, N).
        weights: (B, N), zero for negatives.
        allowed: (B, N) bool; false where the target is the query's own lesion, which is no candidate at all.
        temperature: τ.

    Returns:
        A scalar; zero, with a gradient of zero, if no query has a positive.
    """
    logits = (scores.float() / temperature).masked_fill(~allowed, -torch.inf)
    log_share = logits.log_softmax(dim=1).masked_fill(~allowed, 0.0)
    weights = weights * allowed
    total = weights.sum(dim=1)
    has = total > 0
    if not bool(has.any()):
        return scores.sum() * 0.0
    per_query = -(weights * log_share).sum(dim=1) / total.clamp_min(1e-8)
    return per_query[has].mean()


def prototype_loss(blocks: Tensor, prototypes: Tensor, weights: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Cross-entropy against the labels' sub-centres (SoftTriple, Qian et al. 2019, with max relaxed by logsumexp).

    Args:
        blocks: (B, 2·L, d) unit blocks.
        prototypes: (C, M, 2·L, d), normalised here.
        weights: (2·L,) block weights.
        labels: (B,) in [0, C).
        temperature: divides the scores.
    """
    classes, centres = prototypes.shape[:2]
    flat = F.normalize(prototypes.flatten(0, 1), dim=-1)
    logits = block_scores(blocks, flat, weights).float() / temperature
    return F.cross_entropy(logits.reshape(-1, classes, centres).logsumexp(dim=2), labels)
