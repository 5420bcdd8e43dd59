"""An image encoder: three strided convolutions, each of which is a level."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dermquery.lab.network.encoders import ImageEncoder
from dermquery.model.architecture import VisionConfig

__all__ = ["PYRAMID", "Pyramid"]


class Pyramid(nn.Module):
    """Maps (B, C_l, h_l, w_l) at strides 8, 16 and 32 of pixels (B, 3, H, W)."""

    channels = (16, 24, 32)

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *self.channels)
        strides = (8, 2, 2)
        self.stages = nn.ModuleList(
            nn.Conv2d(before, after, stride, stride)
            for before, after, stride in zip(widths[:-1], widths[1:], strides, strict=True)
        )

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        maps, x = [], pixels
        for stage in self.stages:
            x = torch.relu(stage(x))
            maps.append(x)
        return tuple(maps)


def build(config: VisionConfig, pretrained: bool) -> nn.Module:
    """The network; there are no published weights of it, so both kinds of start are random."""
    return Pyramid()


PYRAMID = ImageEncoder(build, {"image_size": 64, "mean": (0.6, 0.5, 0.45), "std": (0.2, 0.2, 0.2)})
