"""Cross-modal composition (equation 5): image tokens attend to themselves and to the text tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dermquery.model.architecture import ComposerConfig

__all__ = ["Composer"]


class _Attention(nn.MultiheadAttention):
    """PyTorch's multi-head attention with its parameters, written out so that it exports with any number of tokens.

    ``forward`` takes queries (B, Q, d), keys that are the values too (B, K, d), and which keys count (B, K).
    """

    def forward(self, query: Tensor, keys: Tensor, counts: Tensor) -> Tensor:  # type: ignore[override]
        d, weight, bias = self.embed_dim, self.in_proj_weight, self.in_proj_bias
        q = F.linear(query, weight[:d], bias[:d])
        k, v = F.linear(keys, weight[d:], bias[d:]).chunk(2, dim=-1)
        q, k, v = (x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))  # (B, heads, ·, d/heads)
        dropout = self.dropout if self.training else 0.0
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=counts[:, None, None], dropout_p=dropout)
        out: Tensor = self.out_proj(seen.transpose(1, 2).flatten(2))
        return out


class _Layer(nn.Module):
    """Pre-norm transformer layer whose keys are the image tokens followed by the text tokens."""

    def __init__(self, width: int, config: ComposerConfig) -> None:
        super().__init__()
        hidden = int(width * config.mlp_ratio)
        self.norm_image, self.norm_text, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = _Attention(width, config.heads, config.dropout, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(hidden, width),
            nn.Dropout(config.dropout),
        )

    def forward(self, image: Tensor, text: Tensor, counts: Tensor) -> Tensor:
        query = self.norm_image(image)
        image = image + self.attention(query, torch.cat([query, self.norm_text(text)], dim=1), counts)
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
            counts = torch.cat([seen, mask], dim=1)
            for layer in stack:  # type: ignore[attr-defined]
                image = layer(image, text, counts)
            if self.shifts:
                image = image + self.shifts[level](tokens, mask)[:, None]
            composed.append(image.transpose(1, 2).reshape(x.shape))
        return tuple(composed)
