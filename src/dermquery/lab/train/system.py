"""Common part of every system's training: cases behind positions, augmentation, validation by retrieval, schedule."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import lightning as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dermquery.data.case import Case
from dermquery.lab.evaluate.metrics import FloatArray, accuracy_at, average_precision, mean_known
from dermquery.lab.evaluate.ranking import rank
from dermquery.lab.train.batches import Augment
from dermquery.lab.train.config import OptimisationConfig
from dermquery.model.architecture import VisionConfig

__all__ = ["MONITOR", "SystemModule"]

MONITOR = "validation/map"
"""Metric of early stopping and of the kept checkpoint: the validation cases, each asking for the others."""


class SystemModule(pl.LightningModule):
    """Base of the Lightning modules: a subclass says what one step costs and how queries and targets are encoded.

    Attributes:
        pretrained: prefixes of the parameters that start from published weights and learn at ``backbone_rate``.

    Args:
        vision: preprocessing of the pixels.
        cases: all cases that a position in a batch can name; each has a diagnosis.
        config: optimisation.
        steps: optimiser steps of the whole run, for the schedule.
    """

    pretrained: tuple[str, ...] = ("network.backbone.",)
    case_labels: Tensor
    case_groups: Tensor

    def __init__(self, vision: VisionConfig, cases: Sequence[Case], config: OptimisationConfig, steps: int) -> None:
        super().__init__()
        self.config, self.steps = config, steps
        self.cases = list(cases)
        self.labels = tuple(sorted({str(case.diagnosis) for case in self.cases}))
        self.augment = Augment(vision, config.augment)
        self._buffer("case_labels", torch.tensor([self.labels.index(str(c.diagnosis)) for c in self.cases]))
        groups = {group: i for i, group in enumerate(dict.fromkeys(c.group for c in self.cases))}
        self._buffer("case_groups", torch.tensor([groups[c.group] for c in self.cases]))
        self._validation: list[tuple[Tensor, Tensor, Tensor]] = []

    @abstractmethod
    def encode(self, pixels: Tensor, cases: Sequence[Case]) -> tuple[Tensor, Tensor]:
        """Vectors (B, D) of the cases as queries and as targets; ``pixels`` is network input (B, 3, H, W)."""

    def score(self, queries: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
        """Similarity (n, m) of the vectors of :meth:`encode`: the inner product, unless a system says otherwise."""
        return np.asarray(queries @ targets.T)

    def _buffer(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        pixels, positions = batch
        queries, targets = self.encode(self.augment(pixels), [self.cases[i] for i in positions.tolist()])
        self._validation.append((positions.cpu(), queries.float().cpu(), targets.float().cpu()))

    def on_validation_epoch_end(self) -> None:
        positions, queries, targets = (torch.cat(parts) for parts in zip(*self._validation, strict=True))
        self._validation.clear()
        cases = [self.cases[i] for i in positions.tolist()]
        relevant = rank(self.score(queries.numpy(), targets.numpy()), cases, cases).same()
        ap = average_precision(relevant)
        truth = np.array([case.diagnosis for case in cases])
        by_label = [ap[truth == label] for label in sorted(set(truth.tolist()))]
        values = {
            MONITOR: _mean(ap),
            "validation/macro_map": _mean(np.array([mean_known(part) for part in by_label])),
            "validation/acc@1": _mean(accuracy_at(relevant, 1)),
        }
        self.log_dict(values, prog_bar=True)

    def configure_optimizers(self) -> Any:
        config = self.config
        groups = self._parameter_groups(config.learning_rate, config.learning_rate * config.backbone_rate)
        make = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
        optimizer = make(groups, weight_decay=config.weight_decay)
        warm = max(1, int(self.steps * config.warmup))

        def rate(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, self.steps - warm))))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _parameter_groups(self, new: float, pretrained: float) -> list[dict[str, Any]]:
        """Four groups: (pre-trained, new) × (decayed, not decayed)."""
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                old = name.startswith(self.pretrained)
                groups.setdefault((old, parameter.ndim > 1 and "null" not in name), []).append(parameter)
        return [
            {"params": members, "lr": pretrained if old else new} | ({} if decayed else {"weight_decay": 0.0})
            for (old, decayed), members in groups.items()
        ]


def _mean(values: FloatArray) -> float:
    """Mean of the known values; 0 where no query has a relevant case, which a tiny validation part can bring about."""
    return float(np.nan_to_num(mean_known(values)))
