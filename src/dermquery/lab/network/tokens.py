"""Plain vision transformers as a backbone: the tokens of three layers, each laid out as a map.

They keep one resolution from the first layer to the last, so low, middle and high (equations 2 and 3) are depths and
not sizes: tokens after a half, three quarters and all of the layers, as dense heads on such networks take them (Ranftl
et al. 2021, arXiv 2103.13413). Every level passes the network's own last normalisation, as DINOv2 does
(``get_intermediate_layers``): without it, a few channels of the middle layers outshine all others. The class token is
left out; the regions and the mean over the map stand for the whole image.
"""

from __future__ import annotations

import types
from typing import Any

import torch
from torch import Tensor, nn

from dermquery.model.architecture import LEVELS, VisionConfig

__all__ = ["TokenBackbone", "is_plain", "side_of"]

_NORMS = {
    "clip_vision_model": "post_layernorm",
    "deit": "layernorm",
    "dinov2": "layernorm",
    "dinov2_with_registers": "layernorm",
    "dinov3_vit": "norm",
    "siglip_vision_model": "post_layernorm",
    "vit": "layernorm",
}
"""The last normalisation of each kind of network that is read here."""
_UNNORMALISED = ("clip_vision_model",)
"""Those whose output has not passed it yet: CLIP normalises its class token alone."""
_SHARES = (2, 3, 4)
"""Quarters of the depth at which the levels lie."""


def is_plain(settings: Any) -> bool:
    """Whether a ``transformers`` configuration is of a plain vision transformer that :class:`TokenBackbone` reads."""
    return getattr(settings, "model_type", None) in _NORMS


def side_of(settings: Any) -> int:
    """Width of the square images in pixels that a network was made for."""
    size = settings.image_size
    return int(size if isinstance(size, int) else max(size))


class TokenBackbone(nn.Module):
    """Three maps (B, C, h, w), all of C = hidden size and of h = w = image size // patch size.

    Args:
        model: a ``transformers`` model of one of the kinds above, for any image size.
        config: the image size, to which the table of positions is fitted as the network itself does it; which
            layers are the levels; and how many are frozen.

    Raises:
        ValueError: the layers do not rise, or the network has fewer.
    """

    def __init__(self, model: Any, config: VisionConfig) -> None:
        super().__init__()
        depth, name = int(model.config.num_hidden_layers), config.backbone
        self.levels = config.layers or tuple(max(1, round(depth * share / 4)) for share in _SHARES)
        if not all(low < high for low, high in zip((0, *self.levels), (*self.levels, depth + 1), strict=True)):
            raise ValueError(
                f"model.vision.layers are {list(self.levels)}, and {name!r} has {depth} layers; name {len(LEVELS)} of "
                "them, in rising order"
            )
        self.network = _fitted(model, config.image_size)
        self.norm_name = _NORMS[model.config.model_type]
        self.patches = config.image_size // int(self.network.config.patch_size)
        self.channels = (int(model.config.hidden_size),) * len(LEVELS)
        layers = _layers(self.network, depth)
        del layers[self.levels[-1] :]  # nothing looks at what they give
        if config.frozen_stages:
            self.network.requires_grad_(requires_grad=False)
            for part in (layers[config.frozen_stages :], self._norm):
                part.requires_grad_(requires_grad=True)

    @property
    def description(self) -> dict[str, Any]:
        """The architecture as a dictionary, so that an artifact can be loaded without the hub."""
        return dict(self.network.config.to_dict())

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        out = self.network(pixel_values=pixels, output_hidden_states=True)
        *early, _ = self.levels
        states = [self._norm(out.hidden_states[level]) for level in early]
        last = out.last_hidden_state
        states.append(self._norm(last) if self.network.config.model_type in _UNNORMALISED else last)
        return tuple(self._map(tokens) for tokens in states)

    @property
    def _norm(self) -> nn.Module:
        norm: nn.Module = getattr(self.network, self.norm_name)
        return norm

    def _map(self, tokens: Tensor) -> Tensor:
        """Patch tokens, which are the last ones, as a map (B, C, h, w)."""
        n = self.patches
        return tokens[:, -n * n :].transpose(1, 2).reshape(tokens.shape[0], self.channels[0], n, n)


def _layers(network: nn.Module, depth: int) -> nn.ModuleList:
    return next(part for part in network.modules() if isinstance(part, nn.ModuleList) and len(part) == depth)


def _fitted(model: Any, side: int) -> Any:
    """The network for images of another size."""
    model = _headless(model)
    embeddings, settings = model.embeddings, model.config
    table = next((name for name, _ in embeddings.named_parameters() if name.startswith("position_embedding")), None)
    if table is not None and side_of(settings) != side:
        patches = side // int(settings.patch_size)
        extra = embeddings.get_parameter(table).shape[-2] - (side_of(settings) // int(settings.patch_size)) ** 2
        asked = torch.zeros(1, extra + patches * patches, int(settings.hidden_size))
        with torch.no_grad():
            positions = embeddings.interpolate_pos_encoding(asked, side, side)
        state = model.state_dict()
        state[f"embeddings.{table}"] = positions[0] if table.endswith(".weight") else positions
        settings.image_size = side
        model = _headless(type(model)(settings))
        model.load_state_dict(state)
    if table is not None and not table.endswith(".weight"):
        # DINOv2 interpolates even to its own size while it is traced, by an operator that ONNX does not have.
        model.embeddings.interpolate_pos_encoding = types.MethodType(_positions, model.embeddings)
    return model


def _headless(model: Any) -> Any:
    """The network without what reads its class token alone."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model


def _positions(embeddings: Any, *_: object) -> Tensor:
    """The table as it is: it was fitted to the image size when the network was made."""
    table: Tensor = embeddings.position_embeddings
    return table
