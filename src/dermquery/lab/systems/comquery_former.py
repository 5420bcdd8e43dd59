"""ComqueryFormer (Xu et al., IEEE TMM 2023): the composed-query framework that the paper adapts.

From the authors' code: three levels of a hierarchical backbone; the last three layers of the text encoder, one for
each level; four co-attention layers shared by the levels, with modality embeddings, for queries only; global vectors
by mean pooling, linear layer and tanh, at a learned length (4 at first); K = 8 regions from one 3×3 convolution that
is not squashed; separate heads for queries and targets; six in-batch cross-entropies, three global and three local;
the score is the sum of the six inner products.

Reconstruction: what a co-attention layer is (each modality attends to the other, then its feed-forward part).
Changed for diagnoses: all cases of the query's label in the batch are positives and its own lesion is none
(supervised contrastive), because with three labels plain in-batch cross-entropy would push same-label cases apart.
Not theirs: width, backbone and text encoder, which are those of the table; random crops are kept out of the
evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dermquery.data.case import Case
from dermquery.lab.network.text import build_text_encoder, encode_texts
from dermquery.lab.network.vision import LevelProjection
from dermquery.lab.systems.config import ComqueryFormerConfig
from dermquery.lab.systems.trained import Batch, PairNetwork, Setup, TrainedRanker
from dermquery.lab.train.objective import supervised_contrastive
from dermquery.model.architecture import LEVELS

__all__ = ["ComqueryFormer"]


class _Attend(nn.Module):
    """One side of a co-attention layer: ``x`` (B, N, d) attends to ``other`` (B, M, d), then a feed-forward part."""

    def __init__(self, width: int, config: ComqueryFormerConfig) -> None:
        super().__init__()
        hidden = int(width * config.mlp_ratio)
        self.norm_x, self.norm_other, self.norm_feed = (nn.LayerNorm(width) for _ in range(3))
        self.attention = nn.MultiheadAttention(width, config.heads, config.dropout, batch_first=True)
        self.feed = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(hidden, width)
        )

    def forward(self, x: Tensor, other: Tensor, hidden: Tensor | None) -> Tensor:
        """``hidden`` (B, M) is true where ``other`` is padding."""
        keys = self.norm_other(other)
        x = x + self.attention(self.norm_x(x), keys, keys, key_padding_mask=hidden, need_weights=False)[0]
        out: Tensor = x + self.feed(self.norm_feed(x))
        return out


class _CoAttention(nn.Module):
    """Image and text attend to each other; the last layer needs no new text."""

    def __init__(self, width: int, config: ComqueryFormerConfig, *, last: bool) -> None:
        super().__init__()
        self.image = _Attend(width, config)
        self.text = None if last else _Attend(width, config)

    def forward(self, image: Tensor, text: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return self.image(image, text, hidden), text if self.text is None else self.text(text, image, None)


class _Heads(nn.Module):
    """Global and regional vectors of three maps, each of length ``scale``: (B, L, d) and (B, L, K·d)."""

    def __init__(self, width: int, config: ComqueryFormerConfig) -> None:
        super().__init__()
        self.pooled = nn.ModuleList(nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in LEVELS)
        self.masks = nn.ModuleList(nn.Conv2d(width, config.regions, 3, padding=1) for _ in LEVELS)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        whole = [head(x.mean(dim=(2, 3))) for head, x in zip(self.pooled, maps, strict=True)]
        regions = []
        for masks, x in zip(self.masks, maps, strict=True):
            pooled = torch.einsum("bkhw,bdhw->bkd", masks(x).float(), x.float()) / (x.shape[-1] * x.shape[-2])
            regions.append(F.normalize(pooled, dim=-1).flatten(1))
        return F.normalize(torch.stack(whole, dim=1).float(), dim=-1), torch.stack(regions, dim=1)


class _Network(PairNetwork):
    reads_text = True

    def __init__(self, setup: Setup, config: ComqueryFormerConfig) -> None:
        super().__init__()
        width = setup.model.width
        self.backbone = setup.backbone()
        self.text = build_text_encoder(setup.model.text, layers=len(LEVELS))
        channels: tuple[int, ...] = self.backbone.channels  # type: ignore[assignment]
        self.projection = LevelProjection(channels, width, setup.model.composer.max_grid)
        self.words = nn.ModuleList(nn.Linear(self.text.width // len(LEVELS), width) for _ in LEVELS)
        self.modality = nn.Parameter(torch.randn(2, width) * 0.02)
        self.null_text = nn.Parameter(torch.randn(1, self.text.width) * 0.02)
        self.layers = nn.ModuleList(
            _CoAttention(width, config, last=i == config.depth - 1) for i in range(config.depth)
        )
        self.query_heads, self.target_heads = _Heads(width, config), _Heads(width, config)
        self.scale = nn.Parameter(torch.tensor([config.scale]))

    def encode_query(self, pixels: Tensor, texts: Sequence[str | None]) -> Tensor:
        return self._flat(self._queries(self.projection(self.backbone(pixels)), texts))

    def encode_target(self, pixels: Tensor) -> Tensor:
        return self._flat(self.target_heads(self.projection(self.backbone(pixels))))

    def losses(self, pixels: Tensor, texts: Sequence[str | None], batch: Batch) -> dict[str, Tensor]:
        maps = self.projection(self.backbone(pixels))
        same = (batch.labels[:, None] == batch.labels[None]).float()
        terms = {}
        sides = zip(("global", "local"), self._queries(maps, texts), self.target_heads(maps), strict=True)
        for part, asked, held in sides:
            for level, name in enumerate(LEVELS):
                scores = self.scale**2 * asked[:, level] @ held[:, level].T
                terms[f"{part} {name}"] = supervised_contrastive(scores, same, batch.allowed, 1.0)
        return terms

    def _queries(self, maps: Sequence[Tensor], texts: Sequence[str | None]) -> tuple[Tensor, Tensor]:
        tokens, mask = encode_texts(self.text, self.null_text, texts)
        composed = []
        for x, layer_tokens, words in zip(maps, tokens.chunk(len(LEVELS), dim=-1), self.words, strict=True):
            image = x.flatten(2).transpose(1, 2) + self.modality[0]
            text = words(layer_tokens) + self.modality[1]
            for layer in self.layers:
                image, text = layer(image, text, ~mask)
            composed.append(image.transpose(1, 2).reshape(x.shape))
        pooled: tuple[Tensor, Tensor] = self.query_heads(composed)
        return pooled

    def _flat(self, parts: tuple[Tensor, Tensor]) -> Tensor:
        return torch.cat([self.scale * part.flatten(1) for part in parts], dim=1)


class ComqueryFormer(TrainedRanker):
    """Sum of six inner products: global and regional vectors of three levels."""

    name = "ComqueryFormer"

    def __init__(self, setup: Setup, folder: Path, config: ComqueryFormerConfig) -> None:
        super().__init__(setup, folder)
        self.config = config

    def build(self, labels: Sequence[str], cases: Sequence[Case]) -> PairNetwork:
        return _Network(self.setup, self.config)
