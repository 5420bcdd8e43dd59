"""Learned region masks and their descriptors (equation 6)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dermquery.model.architecture import RegionsConfig

__all__ = ["RegionMasks", "mask_overlap"]


class RegionMasks(nn.Module):
    """K spatial masks of one level, from one 3×3 convolution, shared by composed queries and targets.

    ``forward`` takes a map (B, d, h, w) and returns masks (B, K, h, w), each non-negative with sum one over space, so
    that ``Σ_xy M_k ⊙ X`` is the pooled descriptor r_k of equation 6.
    """

    def __init__(self, width: int, config: RegionsConfig) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, config.count, 3, padding=1)
        self.softmax = config.mask == "softmax"

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.convolution(x).flatten(2).float()
        if self.softmax:
            masks = logits.softmax(dim=-1)
        else:
            squashed = logits.sigmoid()
            masks = squashed / squashed.sum(dim=-1, keepdim=True).clamp_min(1e-6)
        return masks.reshape(*logits.shape[:2], *x.shape[-2:])

    @staticmethod
    def descriptors(masks: Tensor, x: Tensor) -> Tensor:
        """Region descriptors r_k (B, K, d) of unit norm.

        Without the norm the mean over k that equation 7 takes would equal pooling once with the mean mask, and K masks
        could do no more than one (docs/decisions/0003).
        """
        pooled = torch.einsum("bkhw,bdhw->bkd", masks, x.float())
        return F.normalize(pooled, dim=-1)


def mask_overlap(masks: Tensor) -> Tensor:
    """Mean cosine between different masks of one image; (B, K, h, w) to a scalar in [0, 1].

    1 means that all K masks are the same, 1/K-like small values that they look at different places. Zero for K = 1.
    """
    flat = F.normalize(masks.flatten(2), dim=-1)
    k = flat.shape[1]
    if k == 1:
        return flat.new_zeros(())
    gram = flat @ flat.transpose(1, 2)
    return ((gram.sum(dim=(1, 2)) - k) / (k * (k - 1))).mean()
