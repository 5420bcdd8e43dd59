"""Teaching a backbone before any composed training: a larger network's features, diagnoses, and lesions seen twice.

Distillation (Hinton et al. 2015; features as targets, Romero et al. 2015): the student's pooled features, through one
linear layer, shall be the teacher's principal components. Beside it stand a classifier of the diagnoses, and InfoNCE
(van den Oord et al. 2018) between two photographs of one lesion, or two augmented views of one where there is a single
photograph.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dermquery.data.case import Case
from dermquery.lab.network.vision import means_of
from dermquery.lab.train.config import OptimisationConfig, TeachConfig
from dermquery.lab.train.system import SystemModule
from dermquery.model.architecture import VisionConfig

__all__ = ["EyeModule", "principal_components"]

_LOOK = 128


def principal_components(features: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The first ``count`` principal components (n, count) of standardised features (n, F)."""
    standard = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-3)
    covariance = standard.T @ standard / len(standard)
    _, axes = np.linalg.eigh(covariance.astype(np.float64))
    return np.asarray(standard @ axes[:, ::-1][:, :count], np.float32)


class EyeModule(SystemModule):
    """Teaches a backbone.

    Args:
        backbone: what is taught.
        taught: (n, P) the teacher's components for each case.
        cases: with a diagnosis each, in the order of ``taught``.
        vision: preprocessing.
        config: optimisation.
        teach: weights of the terms.
        steps: optimiser steps of the whole run.
    """

    pretrained = ("backbone.",)
    taught: Tensor
    spread: Tensor
    shares: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        taught: NDArray[np.float32],
        cases: Sequence[Case],
        vision: VisionConfig,
        config: OptimisationConfig,
        teach: TeachConfig,
        steps: int,
    ) -> None:
        super().__init__(vision, cases, config, steps)
        self.backbone, self.teach = backbone, teach
        self._buffer("taught", torch.from_numpy(taught / taught.std(axis=0)))
        self._buffer("spread", torch.from_numpy(taught.std(axis=0)))
        self._buffer("shares", torch.bincount(self.case_labels).float() / len(self.cases))
        channels: tuple[int, ...] = backbone.channels  # type: ignore[assignment]
        width = sum(channels[-2:])
        self.norm = nn.BatchNorm1d(width)
        self.copy = nn.Linear(width, taught.shape[1])
        self.diagnosis = nn.Linear(width, len(self.labels))
        self.look = nn.Linear(width, _LOOK)

    def pooled(self, pixels: Tensor) -> Tensor:
        """Means over space of the backbone's last two maps, (B, F)."""
        return means_of(self.backbone(pixels)[-2:])

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        pixels, positions = batch
        features = self.norm(self.pooled(self.augment(pixels)))
        terms = {
            "copy": self._copied(self.copy(features).float(), self.taught[positions]),
            "diagnosis": self.teach.diagnosis * self._told(self.diagnosis(features).float(), positions),
            "look": self.teach.look * self._recognised(F.normalize(self.look(features).float()), positions),
        }
        loss = torch.stack(list(terms.values())).sum()
        logged = {f"train/{name}": value.detach() for name, value in terms.items()}
        self.log_dict({**logged, "train/loss": loss.detach()}, on_step=False, on_epoch=True, batch_size=len(pixels))
        return loss

    def _copied(self, found: Tensor, taught: Tensor) -> Tensor:
        """Smooth L1 on unit-variance components, and the angle of the components as they are."""
        angle = 1 - F.cosine_similarity(found * self.spread, taught * self.spread).mean()
        return F.smooth_l1_loss(found, taught) + 2 * angle

    def _told(self, logits: Tensor, positions: Tensor) -> Tensor:
        """Cross-entropy with logit adjustment (Menon et al. 2021), so that rare diagnoses weigh as much."""
        return F.cross_entropy(logits + self.shares.clamp_min(1e-6).log(), self.case_labels[positions])

    def _recognised(self, views: Tensor, positions: Tensor) -> Tensor:
        """InfoNCE: a photograph's partner is the other of its lesion in the batch; other lesions are no match."""
        groups = self.case_groups[positions]
        scores = views @ views.T / self.teach.temperature
        own = torch.eye(len(views), dtype=torch.bool, device=views.device)
        partner = (groups[:, None] == groups[None]) & ~own
        logged = scores.masked_fill(own, -torch.inf).log_softmax(dim=1)
        has = partner.any(dim=1)
        if not bool(has.any()):
            return scores.sum() * 0.0
        each = -(logged.masked_fill(~partner, 0.0)).sum(dim=1) / partner.sum(dim=1).clamp_min(1)
        return each[has].mean()

    def encode(self, pixels: Tensor, cases: Sequence[Case]) -> tuple[Tensor, Tensor]:
        found = F.normalize(self.copy(self.norm(self.pooled(pixels))).float() * self.spread)
        return found, found
