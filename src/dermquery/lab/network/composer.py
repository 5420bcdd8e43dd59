"""Cross-modal composition (equation 5): image tokens attend to themselves and to the text tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dermquery.model.architecture import ComposerConfig

__all__ = ["Composer"]


class _Layer(nn.Module):
    """Pre-norm transformer layer whose keys are the image tokens followed by the text tokens."""

    def __init__(self, width: int, config: ComposerConfig) -> None:
        super().__init__()
        hidden = int(width * config.mlp_ratio)
        self.norm_image, self.norm_text, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, config.heads, config.dropout, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(hidden, width),
            nn.Dropout(config.dropout),
        )

    def forward(self, image: Tensor, text: Tensor, hidden: Tensor) -> Tensor:
        query = self.norm_image(image)
        keys = torch.cat([query, self.norm_text(text)], dim=1)
        attended, _ = self.attention(query, keys, keys, key_padding_mask=hidden, need_weights=False)
        image = image + attended
        out: Tensor = image + self.mlp(self.norm_mlp(image))
        return out


class _TextShift(nn.Module):
    """One vector (B, width) from token embeddings (B, T, text width): a small network per token, then their mean."""

    def __init__(self, text_width: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(text_width), nn.Linear(text_width, width), nn.GELU(), nn.Linear(width, width)
        )

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        out: Tensor = self.layers(tokens) * mask[..., None]
        return out.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp_min(1)


class Composer(nn.Module):
    """One stack of layers per level; the composed map C_l has the shape of the reference image's F_l.

    ``forward`` takes maps (B, d, h_l, w_l), token embeddings (B, T, text width) and their mask (B, T), true for tokens.
    The text comes in as it is; a linear layer per level brings it to the width ``d``.
    """

    def __init__(self, levels: int, width: int, text_width: int, config: ComposerConfig) -> None:
        super().__init__()
        if width % config.heads:
            raise ValueError(f"width {width} cannot be split over {config.heads} heads; choose a multiple")
        self.project = nn.ModuleList(nn.Linear(text_width, width) for _ in range(levels))
        self.layers = nn.ModuleList(
            nn.ModuleList(_Layer(width, config) for _ in range(config.depth)) for _ in range(levels)
        )
        self.shifts = nn.ModuleList(_TextShift(text_width, width) for _ in range(levels if config.text_shift else 0))

    def forward(self, maps: tuple[Tensor, ...], tokens: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        composed = []
        for level, (x, project, stack) in enumerate(zip(maps, self.project, self.layers, strict=True)):
            image, text = x.flatten(2).transpose(1, 2), project(tokens)
            seen = torch.ones(image.shape[:2], dtype=torch.bool, device=image.device)
            hidden = ~torch.cat([seen, mask], dim=1)
            for layer in stack:  # type: ignore[attr-defined]
                image = layer(image, text, hidden)
            if self.shifts:
                image = image + self.shifts[level](tokens, mask)[:, None]
            composed.append(image.transpose(1, 2).reshape(x.shape))
        return tuple(composed)
