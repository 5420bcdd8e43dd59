"""Decoded pixels to network input: one implementation, which training runs and every exported graph begins with."""

from __future__ import annotations

import torch
from torch import Tensor

from dermquery.model.architecture import VisionConfig
from dermquery.model.pixels import resizing

__all__ = ["normalise", "standardise"]


def normalise(pixels: Tensor, config: VisionConfig) -> Tensor:
    """Network input (B, 3, H, W) from uint8 pixels (B, S, S, 3): resized, in [0, 1], then standardised per channel.

    Decoding straight to the network's size would be a little sharper than anything that was trained on, which cost .03
    of mAP (docs/decisions/0006). Resizing is a product with one matrix from either side.
    """
    height, width = (
        torch.from_numpy(resizing(int(side), config.image_size)).to(pixels.device) for side in pixels.shape[1:3]
    )
    resized = height @ pixels.permute(0, 3, 1, 2).float() @ width.T
    return standardise(resized / 255.0, config)


def standardise(scaled: Tensor, config: VisionConfig) -> Tensor:
    """Subtract the mean and divide by the standard deviation, per channel of (B, 3, H, W) in [0, 1]."""
    mean = torch.tensor(config.mean, device=scaled.device).view(1, 3, 1, 1)
    std = torch.tensor(config.std, device=scaled.device).view(1, 3, 1, 1)
    return (scaled - mean) / std
