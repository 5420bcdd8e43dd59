"""Vision backbones (equations 2 and 3): three feature maps, low to high, from any hierarchical network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dermquery.lab.network.efficientnet_lite import EfficientNetLite, load_package_weights
from dermquery.lab.network.hub import from_hub
from dermquery.lab.network.xception import Xception, load_sklesion
from dermquery.model.architecture import LEVELS, VisionConfig

__all__ = ["LevelProjection", "build_backbone", "means_of"]

XCEPTION = "xception-sklesion"
_LITE = ("efficientnet-lite0", "efficientnet-lite2")


class _AutoBackbone(nn.Module):
    """A ``transformers`` backbone whose last three stages are the levels; Swin's stages 2, 3 and 4."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        # Swin normalises every stage by itself as a backbone; the norm of its classifier would never be run.
        inner: Any = getattr(backbone, backbone.base_model_prefix, None)
        if isinstance(getattr(inner, "layernorm", None), nn.LayerNorm) and hasattr(backbone, "hidden_states_norms"):
            inner.layernorm = nn.Identity()
        self.network = backbone
        self.channels: tuple[int, ...] = tuple(backbone.channels)

    @property
    def description(self) -> dict[str, Any]:
        """The architecture as a dictionary, so that an artifact can be loaded without the hub."""
        return dict(self.network.config.to_dict())

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network(pixels).feature_maps)


def build_backbone(config: VisionConfig, description: dict[str, Any] | None = None) -> nn.Module:
    """Backbone whose ``forward`` maps pixels (B, 3, H, W) to three maps and whose ``channels`` names their widths.

    Args:
        config: which backbone, and whether to start from published weights.
        description: architecture stored in an artifact; given, nothing is looked up and the weights are random.

    Raises:
        WeightsUnavailableError: a hub name that cannot be reached; the message gives the remedies.
        ValueError: the backbone has fewer than three stages.
    """
    if config.backbone in _LITE:
        lite = EfficientNetLite(config.backbone, config.drop_path, config.frozen_stages)
        if config.pretrained and description is None:
            load_package_weights(lite, config.backbone)
        return lite
    if config.backbone == XCEPTION:
        xception = Xception(config.frozen_stages)
        if config.pretrained and description is None:
            load_sklesion(xception)
        return xception
    return _AutoBackbone(_hub_backbone(config, description))


def _hub_backbone(config: VisionConfig, description: dict[str, Any] | None) -> Any:
    from transformers import AutoBackbone, AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING

    if description is None:
        settings = from_hub(config.backbone, AutoConfig.from_pretrained, (*_LITE, XCEPTION))
    else:
        settings = AutoConfig.for_model(**description)
    stages = list(getattr(settings, "stage_names", None) or [])
    if len(stages) <= len(LEVELS):
        raise ValueError(
            f"{config.backbone!r} has stages {stages}; a hierarchical backbone with three or more is needed"
        )
    settings.out_features = stages[-len(LEVELS) :]
    if description is None and config.pretrained:
        # Not AutoBackbone.from_pretrained: it asks the hub about local folders too.
        backbone = MODEL_FOR_BACKBONE_MAPPING[type(settings)]
        return from_hub(config.backbone, partial(backbone.from_pretrained, config=settings))
    return AutoBackbone.from_config(settings)


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
