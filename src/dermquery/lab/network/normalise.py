"""Decoded pixels to network input in PyTorch, as training makes it; ``model/pixels.py`` makes the same."""

from __future__ import annotations

import torch
from torch import Tensor

from dermquery.model.architecture import VisionConfig

__all__ = ["normalise", "standardise"]


def normalise(pixels: Tensor, config: VisionConfig) -> Tensor:
    """Network input (B, 3, H, W) from uint8 pixels (B, S, S, 3): resized, in [0, 1], then standardised per channel.

    Decoding straight to the network's size would be a little sharper than anything that was trained on, which cost .03
    of mAP (docs/decisions/0006).
    """
    scaled = pixels.permute(0, 3, 1, 2).float() / 255.0
    size = (config.image_size, config.image_size)
    return standardise(torch.nn.functional.interpolate(scaled, size, mode="bilinear", antialias=True), config)


def standardise(scaled: Tensor, config: VisionConfig) -> Tensor:
    """Subtract the mean and divide by the standard deviation, per channel of (B, 3, H, W) in [0, 1]."""
    mean = torch.tensor(config.mean, device=scaled.device).view(1, 3, 1, 1)
    std = torch.tensor(config.std, device=scaled.device).view(1, 3, 1, 1)
    return (scaled - mean) / std
