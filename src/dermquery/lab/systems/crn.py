"""CRN (Yang et al., IEEE TIP 2023): composed retrieval by a local and a global network that teach each other.

From the authors' code: two networks, each with its own backbone and an LSTM over the words. The local one weighs the
words at every position (softmax over words, T = 7), shifts and scales the position by what it read, and pools (GeM).
The global one weighs the positions for every word (softmax over positions, T = 4). In-batch cross-entropy on cosine
× a learned factor (10 at first), mean squared error between the two networks' queries, mutual Kullback-Leibler
divergence of their scores; at test time the cosine of the concatenated unit vectors.

Reconstruction: the gate of the global network and the pooling of its targets. Changed for diagnoses, as in
:mod:`.comquery_former`: all cases of the query's label in the batch are positives. Not theirs: width, backbone and
text encoder, which are those of the table (the words come from its text encoder, then through the LSTM).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dermquery.data.case import Case
from dermquery.lab.network.text import build_text_encoder, encode_texts
from dermquery.lab.systems.config import CRNConfig
from dermquery.lab.systems.trained import Batch, PairNetwork, Setup, TrainedRanker
from dermquery.lab.train.objective import supervised_contrastive

__all__ = ["CRN", "words_at_positions"]


def words_at_positions(image: Tensor, words: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """What every position reads: (B, N, d), (B, T, d) and mask (B, T), true for words, to (B, N, d)."""
    logits = (image @ words.transpose(1, 2)) / temperature
    weights: Tensor = logits.masked_fill(~mask[:, None], -torch.inf).softmax(dim=-1)
    return weights @ words


class _Branch(nn.Module):
    """One of the two networks; ``query`` and ``target`` give vectors (B, d), not normalised."""

    def __init__(self, setup: Setup, text_width: int, temperature: float) -> None:
        super().__init__()
        width = setup.model.width
        self.backbone = setup.backbone()
        channels: tuple[int, ...] = self.backbone.channels  # type: ignore[assignment]
        self.project = nn.Linear(channels[-1], width)
        self.words = nn.LSTM(text_width, width, batch_first=True)
        self.gate, self.shift = nn.Linear(width, width), nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.power = nn.Parameter(torch.tensor([3.0]))
        self.temperature = temperature

    def positions(self, pixels: Tensor) -> Tensor:
        """Last map as tokens (B, N, d)."""
        tokens: Tensor = self.project(self.backbone(pixels)[-1].flatten(2).transpose(1, 2))
        return tokens

    def target(self, image: Tensor) -> Tensor:
        """Generalised mean (GeM) over the positions, then a linear layer."""
        power = self.power.clamp(1.0, 8.0)
        pooled = image.float().clamp_min(1e-4).pow(power).mean(dim=1).pow(1.0 / power)
        vector: Tensor = self.out(pooled)
        return vector

    @abstractmethod
    def query(self, image: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """Vector (B, d) of positions (B, N, d) and word embeddings (B, T, text width) with their mask (B, T)."""


class _Local(_Branch):
    def query(self, image: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        words = self.words(tokens)[0]
        read = words_at_positions(image, words, mask, self.temperature)
        return self.target(torch.sigmoid(self.gate(read)) * image + self.shift(read))


class _Global(_Branch):
    def query(self, image: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        words = self.words(tokens)[0]
        everywhere = torch.ones(image.shape[:2], dtype=torch.bool, device=image.device)
        seen = words_at_positions(words, image, everywhere, self.temperature)
        fused = torch.sigmoid(self.gate(words)) * seen + self.shift(words)
        pooled = (fused * mask[..., None]).sum(dim=1, keepdim=True) / mask.sum(dim=1)[:, None, None]
        return self.target(image + pooled)


class _Network(PairNetwork):
    reads_text = True
    pretrained = ("by_position.backbone.", "by_word.backbone.", "text.encoder.")

    def __init__(self, setup: Setup, config: CRNConfig) -> None:
        super().__init__()
        self.text = build_text_encoder(setup.model.text)
        self.null_text = nn.Parameter(torch.randn(1, self.text.width) * 0.02)
        self.by_position = _Local(setup, self.text.width, config.local_temperature)
        self.by_word = _Global(setup, self.text.width, config.global_temperature)
        self.scale = nn.Parameter(torch.tensor([config.scale]))

    def encode_query(self, pixels: Tensor, texts: Sequence[str | None]) -> Tensor:
        tokens, mask = encode_texts(self.text, self.null_text, texts)
        return _joined(branch.query(branch.positions(pixels), tokens, mask) for branch in self._branches)

    def encode_target(self, pixels: Tensor) -> Tensor:
        return _joined(branch.target(branch.positions(pixels)) for branch in self._branches)

    def losses(self, pixels: Tensor, texts: Sequence[str | None], batch: Batch) -> dict[str, Tensor]:
        tokens, mask = encode_texts(self.text, self.null_text, texts)
        same = (batch.labels[:, None] == batch.labels[None]).float()
        terms, queries, shares = {}, [], []
        for name, branch in zip(("local", "global"), self._branches, strict=True):
            image = branch.positions(pixels)
            query = F.normalize(branch.query(image, tokens, mask).float(), dim=-1)
            scores = self.scale * query @ F.normalize(branch.target(image).float(), dim=-1).T
            terms[name] = supervised_contrastive(scores, same, batch.allowed, 1.0)
            queries.append(query)
            shares.append(scores.masked_fill(~batch.allowed, -1e4).log_softmax(dim=1))
        terms["distance"] = F.mse_loss(queries[0], queries[1])
        each = [
            F.kl_div(mine, other.detach(), reduction="batchmean", log_target=True)
            for mine, other in (shares, reversed(shares))
        ]
        terms["mutual"] = torch.stack(each).sum()
        return terms

    @property
    def _branches(self) -> tuple[_Branch, _Branch]:
        return self.by_position, self.by_word


def _joined(vectors: Iterable[Tensor]) -> Tensor:
    """Concatenated unit vectors, again of unit length."""
    parts = [F.normalize(vector.float(), dim=-1) for vector in vectors]
    return F.normalize(torch.cat(parts, dim=1), dim=-1)


class CRN(TrainedRanker):
    """Cosine of the concatenated vectors of a local and a global network."""

    name = "CRN"

    def __init__(self, setup: Setup, folder: Path, config: CRNConfig) -> None:
        super().__init__(setup, folder)
        self.config = config

    def build(self, labels: Sequence[str], cases: Sequence[Case]) -> PairNetwork:
        return _Network(self.setup, self.config)
