"""Vision backbones (equations 2 and 3): three feature maps, low to high, from whatever a configuration names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dermquery.lab.network.encoders import IMAGE_ENCODERS
from dermquery.model.architecture import VisionConfig

__all__ = ["LevelProjection", "build_backbone", "means_of"]


def build_backbone(config: VisionConfig, description: Mapping[str, Any] | None = None) -> nn.Module:
    """Backbone whose ``forward`` maps pixels (B, 3, H, W) to three maps and whose ``channels`` names their widths.

    Args:
        config: which backbone, and whether to start from published weights.
        description: architecture stored in an artifact; given, nothing is looked up and the weights are random.

    Raises:
        WeightsUnavailableError: a hub name that cannot be reached; the message gives the remedies.
        ExtensionError: another package's encoder is broken.
        ValueError: the backbone is of a kind that gives no three levels.
    """
    if (encoder := IMAGE_ENCODERS.find(config.backbone)) is not None:
        with IMAGE_ENCODERS.blamed(config.backbone):
            return encoder.build(config, config.pretrained and description is None)
    from dermquery.lab.network.published import described_backbone, published_backbone

    return published_backbone(config) if description is None else described_backbone(config, description)


def means_of(maps: Sequence[Tensor]) -> Tensor:
    """What linear heads read of an image: the means over space of its maps (B, C_l, h_l, w_l), side by side."""
    return torch.cat([m.float().mean(dim=(2, 3)) for m in maps], dim=1)


class LevelProjection(nn.Module):
    """Project every level to the common width ``d``: a 1×1 convolution and batch normalisation per level.

    ``forward`` takes the backbone's maps and returns maps (B, d, h, w), pooled to ``max_grid`` where they are larger.
    """

    def __init__(self, channels: tuple[int, ...], width: int, max_grid: int | None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, width, 1, bias=False), nn.BatchNorm2d(width)) for c in channels
        )
        self.max_grid = max_grid

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(self._limited(layer(m)) for layer, m in zip(self.layers, maps, strict=True))

    def _limited(self, x: Tensor) -> Tensor:
        if self.max_grid is None or max(x.shape[-2:]) <= self.max_grid:
            return x
        # A whole-number window keeps the pooling a plain average, which every runtime exports alike.
        window = -(-max(x.shape[-2:]) // self.max_grid)
        return torch.nn.functional.avg_pool2d(x, window, ceil_mode=True, count_include_pad=False)
