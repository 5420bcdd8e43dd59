"""The composed network: equations 2 to 8 from pixels and text to unit blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dermquery.lab.network.composer import Composer
from dermquery.lab.network.regions import RegionMasks
from dermquery.lab.network.text import build_text_encoder, encode_texts
from dermquery.lab.network.vision import LevelProjection, build_backbone, means_of
from dermquery.model.alignment import BlockLayout
from dermquery.model.architecture import LEVELS, ModelConfig

__all__ = ["ComposedNetwork", "Encoded", "Seen", "count_parameters"]


class Encoded(NamedTuple):
    """Unit blocks (B, 2·L, d), local levels first, and the region masks of each level, (B, K, h_l, w_l)."""

    blocks: Tensor
    masks: tuple[Tensor, ...]


class Seen(NamedTuple):
    """Maps F_l (B, d, h_l, w_l), and the backbone's three maps before projection, averaged over space, (B, F)."""

    maps: tuple[Tensor, ...]
    pooled: Tensor


class ComposedNetwork(nn.Module):
    """Backbone, text encoder, composer, regions and pooling.

    Args:
        config: the model's configuration.
        vision_description, text_description, tokenizer: what an artifact stores of a hub model, so that loading it
            looks nothing up; all absent for a new model. Without a description, the tokenizer stands in for that of
            the encoder that the configuration names.
    """

    def __init__(
        self,
        config: ModelConfig,
        vision_description: dict[str, Any] | None = None,
        text_description: dict[str, Any] | None = None,
        tokenizer: bytes | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        levels = config.levels
        self.layout = BlockLayout(levels, config.width)
        self.chosen = [LEVELS.index(level) for level in levels]
        self.backbone = build_backbone(config.vision, vision_description)
        self.text = build_text_encoder(config.text, text_description, tokenizer)
        channels: tuple[int, ...] = self.backbone.channels  # type: ignore[assignment]
        channels = tuple(channels[i] for i in self.chosen)
        self.projection = LevelProjection(channels, config.width, config.composer.max_grid)
        self.composer = Composer(len(levels), config.width, self.text.width, config.composer)
        self.regions = nn.ModuleList(RegionMasks(config.width, config.regions) for _ in levels)
        self.null_text = nn.Parameter(torch.randn(1, self.text.width) * 0.02)
        self.null_image = nn.Parameter(torch.randn(len(levels), config.width) * 0.02)

    # The paper from top to bottom: each step takes what the one before gives. Equation 9, the weighted sum, is
    # ``layout.score`` (model/alignment.py).

    def features(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Equations 2 and 3: maps F_l (B, d, h_l, w_l) of normalised pixels (B, 3, H, W)."""
        return self.seen(pixels).maps

    def seen(self, pixels: Tensor) -> Seen:
        """The same, and beside the maps what linear heads read of an image (:mod:`dermquery.model.heads`)."""
        every = self.backbone(pixels)
        maps: tuple[Tensor, ...] = self.projection(tuple(every[i] for i in self.chosen))
        return Seen(maps, means_of(every))

    def tokens(self, texts: Sequence[str | None]) -> tuple[Tensor, Tensor]:
        """Equation 4: token embeddings (B, T, text width) and mask (B, T); a missing text is the learned null token."""
        return encode_texts(self.text, self.null_text, texts)

    def composed(self, maps: tuple[Tensor, ...], tokens: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """Equation 5: composed maps C_l, in the shapes of the reference image's maps F_l."""
        found: tuple[Tensor, ...] = self.composer(maps, tokens, mask)
        return found

    def pooled(self, maps: tuple[Tensor, ...]) -> Encoded:
        """Equations 6 to 8 on composed maps C_l or a target's maps F_l; an inner product of blocks is a cosine."""
        masks = tuple(region(x) for region, x in zip(self.regions, maps, strict=True))
        descriptors = [RegionMasks.descriptors(m, x) for m, x in zip(masks, maps, strict=True)]  # (6): r_{l,k}
        local = [r.mean(dim=1) for r in descriptors]  # (7): the mean over the K regions
        overall = [x.float().mean(dim=(2, 3)) for x in maps]  # (8): the whole map, pooled
        return Encoded(F.normalize(torch.stack(local + overall, dim=1), dim=-1), masks)

    def targets(self, maps: tuple[Tensor, ...]) -> Encoded:
        """Encode database images from their maps F_l; targets are not composed."""
        return self.pooled(maps)

    def queries(
        self, maps: tuple[Tensor, ...], texts: Sequence[str | None], has_image: Tensor | None = None
    ) -> Encoded:
        """Encode queries from their reference images' maps and their texts.

        Args:
            maps: F_l of the reference images, (B, d, h_l, w_l); rows without an image are ignored.
            texts: one per query; None is a query without text.
            has_image: (B,) bool; false rows take the learned null image, one token per level. None: all have one.
        """
        tokens, mask = self.tokens(texts)
        if has_image is None or bool(has_image.all()):
            return self.pooled(self.composed(maps, tokens, mask))
        without = ~has_image
        null = self.pooled(self.composed(self.null_maps(int(without.sum())), tokens[without], mask[without]))
        if not bool(has_image.any()):
            return null
        seen = self.pooled(self.composed(tuple(m[has_image] for m in maps), tokens[has_image], mask[has_image]))
        blocks = seen.blocks.new_zeros((len(has_image), *seen.blocks.shape[1:]))
        blocks = blocks.masked_scatter(has_image[:, None, None], seen.blocks)
        return Encoded(blocks.masked_scatter(without[:, None, None], null.blocks), seen.masks)

    def null_maps(self, n: int) -> tuple[Tensor, ...]:
        """The learned null image as maps (n, d, 1, 1), one per level."""
        return tuple(level[None, :, None, None].expand(n, -1, 1, 1) for level in self.null_image)


def count_parameters(network: ComposedNetwork) -> dict[str, int]:
    """Number of parameters of each part, of all, and of those that are trained."""
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    parts["null tokens"] = network.null_text.numel() + network.null_image.numel()
    everything = list(network.parameters())
    return {
        **parts,
        "all": sum(p.numel() for p in everything),
        "trained": sum(p.numel() for p in everything if p.requires_grad),
    }
