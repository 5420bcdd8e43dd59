"""DAHNet: deep attention hashing (IEEE TKDE 2024), asymmetric as in ADSH (Jiang and Li, AAAI 2018).

From the authors' code: the third stage feeds three local branches one after the other (strip attention with k = 2,
boost f + ½·f·a, activations above .95 of the maximum halved for the next branch), which are mixed by cosine and
refined; the last stage is the global branch; half of the bits are global, a sixth each local; tanh in training, sign
at test; loss ``(bits·S − F·Bᵀ)²·12/bits`` with a class-balanced S, plus γ = 200 times the quantisation error, plus
cross-entropy (½ global, ⅙ each local); gallery codes B by discrete coordinate descent after each epoch, query codes
by the network; Hamming ranking.

Reconstruction: the strip attention's layers, the mixing (each branch takes from the others, position by position,
what is least like itself) and the refinement (1×1 convolution, norm, ReLU, maximum); S (1 within a label, −n₊/n₋
across, so that both sides weigh the same); the order of a run, in which every epoch is one outer iteration over the
whole training part. Gallery cases that were not trained on get the network's codes. The schedule is that of all
systems here, not the authors' 600 epochs of SGD.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dermquery.data.case import Case
from dermquery.lab.systems.config import DAHNetConfig
from dermquery.lab.systems.trained import Batch, PairNetwork, Setup, TrainedRanker

__all__ = ["DAHNet", "balanced_similarity", "coordinate_descent"]

_BRANCHES = 3


def balanced_similarity(rows: Tensor, columns: Tensor) -> Tensor:
    """S (n, m): 1 for pairs of one label, −n₊/n₋ for the others, so that S sums to zero; labels (n,) and (m,)."""
    same = (rows[:, None] == columns[None]).float()
    ratio = same.sum() / (1 - same).sum().clamp_min(1)
    return same * (1 + ratio) - ratio


def coordinate_descent(codes: Tensor, outputs: Tensor, similarity: Tensor, weight: float, rounds: int) -> Tensor:
    """Gallery codes B that minimise ``‖bits·S − U·Bᵀ‖² − 2·weight·tr(U·Bᵀ)``, one bit after the other (ADSH, eq. 9-11).

    Args:
        codes: (n, bits) in {−1, 1}, where the descent starts.
        outputs: U (n, bits), what the network says of the same cases.
        similarity: S (n, n).
        weight: γ of the quantisation error.
        rounds: passes over the bits.

    Returns:
        (n, bits) in {−1, 1}; the objective is no larger than at the start.
    """
    codes, bits = codes.clone(), codes.shape[1]
    wanted = -2 * (bits * similarity.T @ outputs + weight * outputs)
    for _ in range(rounds):
        for bit in range(bits):
            others = torch.arange(bits) != bit
            pull = 2 * codes[:, others] @ (outputs[:, others].T @ outputs[:, bit]) + wanted[:, bit]
            codes[:, bit] = torch.where(pull == 0, codes[:, bit], -pull.sign())
    return codes


class _Branch(nn.Module):
    """Strip attention: two halves of the width are weighed by a softmax over their pooled features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The boosted map, and the map that the next branch gets; both (B, C, h, w)."""
        strips = F.adaptive_avg_pool2d(x, (1, 2))
        attention = F.interpolate(self.weigh(strips).softmax(dim=-1), x.shape[-2:], mode="nearest")
        energy = (x * attention).mean(dim=1, keepdim=True)
        peak = energy > 0.95 * energy.amax(dim=(2, 3), keepdim=True)
        return x + 0.5 * x * attention, torch.where(peak, 0.5 * x, x)


def _mixed(maps: Sequence[Tensor]) -> list[Tensor]:
    """Each branch's map plus what the others hold that is least like it: attention by negative cosine, (B, C, h, w)."""
    flat = [x.flatten(2) for x in maps]
    unit = [F.normalize(x.float(), dim=1) for x in flat]
    mixed = []
    for i, x in enumerate(flat):
        taken = torch.zeros_like(x)
        for j, other in enumerate(flat):
            if i != j:
                weights = (-(unit[i].transpose(1, 2) @ unit[j])).softmax(dim=-1).to(other.dtype)
                taken = taken + other @ weights.transpose(1, 2)
        mixed.append((x + taken / (len(flat) - 1)).reshape(maps[i].shape))
    return mixed


class _Network(PairNetwork):
    def __init__(self, setup: Setup, config: DAHNetConfig, labels: Tensor, n_labels: int) -> None:
        super().__init__()
        self.config, self.backbone = config, setup.backbone()
        channels: tuple[int, ...] = self.backbone.channels  # type: ignore[assignment]
        middle, high = channels[-2], channels[-1]
        width, part = setup.model.width, config.bits // 6
        self.branches = nn.ModuleList(_Branch(middle) for _ in range(_BRANCHES))
        self.refine = nn.ModuleList(
            nn.Sequential(nn.Conv2d(middle, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
            for _ in range(_BRANCHES)
        )
        self.hashes = nn.ModuleList([nn.Linear(high, 3 * part), *(nn.Linear(width, part) for _ in range(_BRANCHES))])
        self.heads = nn.ModuleList([nn.Linear(high, n_labels), *(nn.Linear(width, n_labels) for _ in range(_BRANCHES))])
        # Plain tensors, not buffers: averaging the weights over steps must not average codes.
        self._labels = labels
        generator = torch.Generator().manual_seed(0)
        self._codes = torch.randint(0, 2, (len(labels), config.bits), generator=generator).float() * 2 - 1
        self._outputs = self._codes.clone()

    def pooled(self, pixels: Tensor) -> list[Tensor]:
        """Features of the global branch, then of the local ones, each (B, C)."""
        _, middle, high = self.backbone(pixels)
        boosted = []
        for branch in self.branches:
            strong, middle = branch(middle)
            boosted.append(strong)
        local = [refine(x).amax(dim=(2, 3)) for refine, x in zip(self.refine, _mixed(boosted), strict=True)]
        return [high.mean(dim=(2, 3)), *local]

    def relaxed(self, features: Sequence[Tensor]) -> Tensor:
        """Codes before the sign, (B, bits) in (−1, 1)."""
        parts = [layer(x) for layer, x in zip(self.hashes, features, strict=True)]
        return torch.cat(parts, dim=1).float().tanh()

    def encode_query(self, pixels: Tensor, texts: Sequence[str | None]) -> Tensor:
        return self.encode_target(pixels)

    def encode_target(self, pixels: Tensor) -> Tensor:
        outputs = self.relaxed(self.pooled(pixels))
        return torch.where(outputs >= 0, 1.0, -1.0)

    def losses(self, pixels: Tensor, texts: Sequence[str | None], batch: Batch) -> dict[str, Tensor]:
        features = self.pooled(pixels)
        outputs = self.relaxed(features)
        positions = batch.positions.cpu()
        self._outputs[positions] = outputs.detach().float().cpu()
        codes, labels = self._codes.to(outputs.device), self._labels.to(outputs.device)
        bits, n = codes.shape[1], len(outputs) * len(codes)
        similarity = balanced_similarity(batch.labels, labels)
        fit = (bits * similarity - outputs @ codes.T).square().sum() * 12 / bits / n
        quantised = self.config.quantisation * (codes[batch.positions] - outputs).square().sum() / n
        shares = (1 / 2, *[1 / 6] * _BRANCHES)
        classes = [
            share * F.cross_entropy(head(x).float(), batch.labels)
            for share, head, x in zip(shares, self.heads, features, strict=True)
        ]
        return {"similarity": fit, "quantisation": quantised, "classes": torch.stack(classes).sum()}

    def end_epoch(self) -> None:
        similarity = balanced_similarity(self._labels, self._labels)
        config = self.config
        self._codes = coordinate_descent(self._codes, self._outputs, similarity, config.quantisation, config.cut)

    def kept(self) -> dict[str, Tensor]:
        return {"codes": self._codes, "outputs": self._outputs}

    def take(self, kept: Mapping[str, Tensor]) -> None:
        self._codes, self._outputs = kept["codes"].clone(), kept["outputs"].clone()


class DAHNet(TrainedRanker):
    """Hamming ranking of codes; the score is bits − 2 · (Hamming distance)."""

    name = "DAHNet"

    def __init__(self, setup: Setup, folder: Path, config: DAHNetConfig) -> None:
        super().__init__(setup, folder)
        self.config = config
        self._trained_ids: list[str] = []

    @property
    def bytes_per_case(self) -> int:
        """Size of one stored code."""
        return -(-self.config.bits // 8)

    def build(self, labels: Sequence[str], cases: Sequence[Case]) -> PairNetwork:
        self._trained_ids = [case.case_id for case in cases]
        of_cases = torch.tensor([list(labels).index(str(case.diagnosis)) for case in cases])
        return _Network(self.setup, self.config, of_cases, len(labels))

    def encoded(self, cases: Sequence[Case], role: Literal["query", "target"]) -> NDArray[np.float32]:
        vectors = super().encoded(cases, role)
        if role == "query":
            return vectors
        learned = self.network.kept()["codes"].numpy()
        at = {case_id: i for i, case_id in enumerate(self._trained_ids)}
        return np.stack([learned[at[c.case_id]] if c.case_id in at else v for c, v in zip(cases, vectors, strict=True)])
