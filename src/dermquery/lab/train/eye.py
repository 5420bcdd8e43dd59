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

__all__ = ["EyeModule", "EyeTerms", "principal_components"]

_LOOK = 128


def principal_components(features: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The first ``count`` principal components (n, count) of standardised features (n, F)."""
    standard = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-3)
    covariance = standard.T @ standard / len(standard)
    _, axes = np.linalg.eigh(covariance.astype(np.float64))
    return np.asarray(standard @ axes[:, ::-1][:, :count], np.float32)


class EyeTerms(nn.Module):
    """What a backbone is taught by: the teacher's components, diagnoses, and lesions seen twice.

    Args:
        channels: widths of the backbone's maps; the last two are read.
        taught: (n, P) the teacher's components for each case.
        labels: (n,) index of each case's diagnosis.
        groups: (n,) index of each case's lesion.
        teach: weights of the terms.
    """

    taught: Tensor
    spread: Tensor
    labels: Tensor
    groups: Tensor
    shares: Tensor

    def __init__(
        self, channels: Sequence[int], taught: NDArray[np.float32], labels: Tensor, groups: Tensor, teach: TeachConfig
    ) -> None:
        super().__init__()
        self.teach = teach
        for name, value in (
            ("taught", torch.from_numpy(taught / taught.std(axis=0))),
            ("spread", torch.from_numpy(taught.std(axis=0))),
            ("labels", labels),
            ("groups", groups),
            ("shares", torch.bincount(labels).float() / len(labels)),
        ):
            self.register_buffer(name, value, persistent=False)
        self.width = sum(channels[-2:])
        self.norm = nn.BatchNorm1d(self.width)
        self.copy = nn.Linear(self.width, taught.shape[1])
        self.diagnosis = nn.Linear(self.width, len(self.shares))
        self.look = nn.Linear(self.width, _LOOK)

    def forward(self, pooled: Tensor, positions: Tensor) -> dict[str, Tensor]:
        """Loss terms of cases ``positions`` (B,), by the means of their maps over space (B, F)."""
        features = self.norm(pooled[:, -self.width :])
        return {
            "copy": self._copied(self.copy(features).float(), self.taught[positions]),
            "diagnosis": self.teach.diagnosis * self._told(self.diagnosis(features).float(), positions),
            "look": self.teach.look * self._recognised(F.normalize(self.look(features).float()), positions),
        }

    def copied(self, pooled: Tensor) -> Tensor:
        """The teacher's components as the backbone tells them, (B, P) of unit length."""
        found: Tensor = self.copy(self.norm(pooled[:, -self.width :])).float()
        return F.normalize(found * self.spread)

    def _copied(self, found: Tensor, taught: Tensor) -> Tensor:
        """Smooth L1 on unit-variance components, and the angle of the components as they are."""
        angle = 1 - F.cosine_similarity(found * self.spread, taught * self.spread).mean()
        return F.smooth_l1_loss(found, taught) + 2 * angle

    def _told(self, logits: Tensor, positions: Tensor) -> Tensor:
        """Cross-entropy with logit adjustment (Menon et al. 2021), so that rare diagnoses weigh as much."""
        return F.cross_entropy(logits + self.shares.clamp_min(1e-6).log(), self.labels[positions])

    def _recognised(self, views: Tensor, positions: Tensor) -> Tensor:
        """InfoNCE: a photograph's partner is the other of its lesion in the batch; other lesions are no match."""
        groups = self.groups[positions]
        scores = views @ views.T / self.teach.temperature
        own = torch.eye(len(views), dtype=torch.bool, device=views.device)
        partner = (groups[:, None] == groups[None]) & ~own
        logged = scores.masked_fill(own, -torch.inf).log_softmax(dim=1)
        has = partner.any(dim=1)
        if not bool(has.any()):
            return scores.sum() * 0.0
        each = -(logged.masked_fill(~partner, 0.0)).sum(dim=1) / partner.sum(dim=1).clamp_min(1)
        return each[has].mean()


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
        self.backbone = backbone
        channels: tuple[int, ...] = backbone.channels  # type: ignore[assignment]
        self.eye = EyeTerms(channels, taught, self.case_labels, self.case_groups, teach)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        pixels, positions = batch
        terms = self.eye(means_of(self.backbone(self.augment(pixels))), positions)
        loss = torch.stack(list(terms.values())).sum()
        logged = {f"train/{name}": value.detach() for name, value in terms.items()}
        self.log_dict({**logged, "train/loss": loss.detach()}, on_step=False, on_epoch=True, batch_size=len(pixels))
        return loss

    def encode(self, pixels: Tensor, cases: Sequence[Case]) -> tuple[Tensor, Tensor]:
        found = self.eye.copied(means_of(self.backbone(pixels)))
        return found, found
