"""Tuning a teacher on described cases: its last blocks learn diagnoses and findings, from heads that were fitted first.

A head that starts at random first spoils the features under it. So diagnosis and findings start as the regressions of
:mod:`.heads` on the features as they are, and both are trained together (Kumar et al. 2022, "Fine-tuning can distort
pretrained features"). Afterwards the heads are fitted again, on the tuned features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dermquery.data.case import Case
from dermquery.lab.network.vision import means_of
from dermquery.lab.train.config import OptimisationConfig
from dermquery.lab.train.system import SystemModule
from dermquery.model.architecture import VisionConfig
from dermquery.model.heads import Heads, places_of_criteria, recorded_values

__all__ = ["TuningModule"]

_DROPOUT = 0.2


class TuningModule(SystemModule):
    """Trains a backbone and its linear heads on diagnoses and recorded findings.

    Args:
        backbone: what is tuned; its frozen stages stay.
        heads: fitted to the features of ``backbone`` as it is.
        cases: with a diagnosis each; those without findings teach the diagnosis alone.
        vision: preprocessing.
        config: optimisation.
        steps: optimiser steps of the whole run.
    """

    pretrained = ("backbone.",)
    centre: Tensor
    scale: Tensor
    recorded: Tensor
    named: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        heads: Heads,
        cases: Sequence[Case],
        vision: VisionConfig,
        config: OptimisationConfig,
        steps: int,
    ) -> None:
        super().__init__(vision, cases, config, steps)
        self.backbone = backbone
        self._buffer("centre", torch.from_numpy(heads.centre))
        self._buffer("scale", torch.from_numpy(heads.scale))
        self._buffer("recorded", torch.from_numpy(recorded_values([case.checklist for case in self.cases])))
        self._buffer("named", torch.tensor([heads.diagnoses.index(str(case.diagnosis)) for case in self.cases]))
        self.diagnosis, self.findings = (nn.Parameter(torch.tensor(m)) for m in (heads.diagnosis, heads.findings))

    def standard(self, pixels: Tensor) -> Tensor:
        """Means over space of the backbone's maps, standardised as the heads read them: (B, F)."""
        return (means_of(self.backbone(pixels)) - self.centre) / self.scale

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        pixels, positions = batch
        features = F.dropout(self.standard(self.augment(pixels)), _DROPOUT)
        told = F.cross_entropy(_affine(self.diagnosis, features), self.named[positions])
        found = self._findings(_affine(self.findings, features), self.recorded[positions])
        terms = {
            "train/diagnosis": told.detach(),
            "train/findings": found.detach(),
            "train/loss": (told + found).detach(),
        }
        self.log_dict(terms, on_step=False, on_epoch=True, batch_size=len(pixels))
        return told + found

    @staticmethod
    def _findings(logits: Tensor, recorded: Tensor) -> Tensor:
        """Cross-entropy of each criterion, a mean over those that are recorded."""
        losses = [-(recorded[:, p] * logits[:, p].log_softmax(dim=1)).sum() for p in places_of_criteria()]
        return torch.stack(losses).sum() / recorded.sum().clamp_min(1)

    def encode(self, pixels: Tensor, cases: Sequence[Case]) -> tuple[Tensor, Tensor]:
        belief = _affine(self.diagnosis, self.standard(pixels)).softmax(dim=1).sqrt()
        return belief, belief


def _affine(matrix: Tensor, features: Tensor) -> Tensor:
    return features @ matrix[:, :-1].T + matrix[:, -1]
