"""The Lightning module: one training step of the composed network, and validation by retrieval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import lightning as pl
import numpy as np
import torch
from torch import Tensor, nn

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.evaluate.metrics import FloatArray, accuracy_at, average_precision, mean_known
from dermquery.evaluate.ranking import rank
from dermquery.evaluate.usefulness import encode_checklist
from dermquery.model.network import ComposedNetwork, Encoded
from dermquery.model.regions import mask_overlap
from dermquery.model.text import encoded_text
from dermquery.train import objective
from dermquery.train.batches import Augment
from dermquery.train.config import TrainConfig
from dermquery.train.forms import draw_forms, mix_images

__all__ = ["MONITOR", "RetrievalModule"]

MONITOR = "validation/map"
"""What early stopping and the kept checkpoint look at: composed queries of the validation part, against one another."""


class RetrievalModule(pl.LightningModule):
    """Trains a :class:`ComposedNetwork`; every image of a batch is a query and a target of the others.

    Args:
        network: what is trained.
        cases: all cases that a position in a batch can name; each has a diagnosis.
        config: optimisation and objective.
        steps: optimiser steps of the whole run, for the schedule.
    """

    case_labels: Tensor
    case_groups: Tensor
    case_codes: Tensor
    weights_whole: Tensor
    weights_local: Tensor
    weights_global: Tensor

    def __init__(self, network: ComposedNetwork, cases: Sequence[Case], config: TrainConfig, steps: int) -> None:
        super().__init__()
        self.network, self.config, self.steps = network, config, steps
        self.cases = list(cases)
        self.labels = tuple(sorted({str(case.diagnosis) for case in self.cases}))
        goal = config.objective
        self.augment = Augment(network.config.vision, config.augment)
        self._buffer("case_labels", torch.tensor([self.labels.index(str(c.diagnosis)) for c in self.cases]))
        groups = {group: i for i, group in enumerate(dict.fromkeys(c.group for c in self.cases))}
        self._buffer("case_groups", torch.tensor([groups[c.group] for c in self.cases]))
        self._buffer("case_codes", torch.from_numpy(encode_checklist(self.cases)).long())
        for name, weight in (("whole", network.config.local_weight), ("local", 1.0), ("global", 0.0)):
            self._buffer(f"weights_{name}", torch.from_numpy(network.layout.block_weights(weight)))
        shape = (len(self.labels), goal.prototypes, 2 * len(network.layout.levels), network.layout.width)
        self.prototypes = nn.Parameter(torch.randn(shape)) if goal.prototypes else None
        self.criteria = nn.ModuleList(
            nn.Linear(network.layout.size, len(c.values)) for c in CRITERIA.values() if goal.checklist
        )
        self._validation: list[tuple[Tensor, Tensor, Tensor]] = []

    def _buffer(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        pixels, positions = batch
        maps = self.network.features(self.augment(pixels))
        forms = draw_forms([self.cases[i] for i in positions.tolist()], self.config, self.network.config.text)
        rows = forms.rows.to(self.device)
        asked = mix_images(maps, forms, self.config.image_mix)
        queries = self.network.queries(asked, forms.texts, forms.has_image.to(self.device))
        targets = self.network.targets(maps)
        terms = self._terms(queries, targets, positions, rows)
        loss = torch.stack(list(terms.values())).sum()
        logged = {f"train/{name}": value.detach() for name, value in terms.items()}
        logged["train/mask_overlap"] = torch.stack([mask_overlap(m) for m in targets.masks]).mean().detach()
        self.log_dict({**logged, "train/loss": loss.detach()}, on_step=False, on_epoch=True, batch_size=len(pixels))
        return loss

    def _terms(self, queries: Encoded, targets: Encoded, positions: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """Loss terms of queries (Q) made from the batch rows ``rows`` (Q,), and targets (B) of cases ``positions``."""
        goal = self.config.objective
        labels, codes, groups = self.case_labels[positions], self.case_codes[positions], self.case_groups[positions]
        held: tuple[Tensor, ...] = (targets.blocks, labels, codes, groups)
        if self.config.described_gallery:
            # The first queries are the cases' fullest forms, in the batch's order (draw_forms).
            described = queries.blocks[: len(positions)]
            held = (torch.cat([held[0], described]), *(torch.cat([value, value]) for value in held[1:]))
        all_blocks, all_labels, all_codes, all_groups = self._gathered(*held)
        agreement = objective.agreement_matrix(codes[rows], all_codes)
        positives = objective.positive_weights(labels[rows], all_labels, agreement, goal.grading)
        allowed = groups[rows][:, None] != all_groups[None]

        def contrast(weights: Tensor) -> Tensor:
            scores = objective.block_scores(queries.blocks, all_blocks, weights)
            return objective.supervised_contrastive(scores, positives, allowed, goal.temperature)

        terms = {"whole": contrast(self.weights_whole)}
        if goal.parts:
            terms["local"] = goal.parts * contrast(self.weights_local)
            terms["global"] = goal.parts * contrast(self.weights_global)
        if self.prototypes is not None:
            both = torch.cat([queries.blocks, targets.blocks])
            of_both = torch.cat([labels[rows], labels])
            value = objective.prototype_loss(both, self.prototypes, self.weights_whole, of_both, goal.temperature)
            terms["prototypes"] = goal.prototype_weight * value
        if goal.checklist:
            terms["checklist"] = goal.checklist * self._checklist_loss(targets.blocks, codes)
        if goal.diversity:
            overlap = torch.stack([mask_overlap(m) for m in targets.masks]).mean()
            terms["diversity"] = goal.diversity * overlap
        return terms

    def _gathered(self, *values: Tensor) -> tuple[Tensor, ...]:
        """The same tensors from all processes, so that every query meets the targets of all devices."""
        if self.trainer.world_size == 1:
            return values
        return tuple(cast("Tensor", self.all_gather(v, sync_grads=v.is_floating_point())).flatten(0, 1) for v in values)

    def _checklist_loss(self, blocks: Tensor, codes: Tensor) -> Tensor:
        flat = blocks.flatten(1)
        losses = [
            nn.functional.cross_entropy(head(flat).float(), codes[:, i], ignore_index=-1)
            for i, head in enumerate(self.criteria)
            if bool((codes[:, i] >= 0).any())
        ]
        return torch.stack(losses).mean() if losses else flat.sum() * 0.0

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        pixels, positions = batch
        maps = self.network.features(self.augment(pixels))
        texts = [encoded_text(self.cases[i].as_query(), self.network.config.text) for i in positions.tolist()]
        queries, targets = self.network.queries(maps, texts), self.network.targets(maps)
        self._validation.append((positions.cpu(), queries.blocks.float().cpu(), targets.blocks.float().cpu()))

    def on_validation_epoch_end(self) -> None:
        positions, queries, targets = (torch.cat(parts) for parts in zip(*self._validation, strict=True))
        self._validation.clear()
        cases = [self.cases[i] for i in positions.tolist()]
        layout = self.network.layout
        weight = self.network.config.local_weight
        scores = layout.score(queries.flatten(1).numpy(), targets.flatten(1).numpy(), weight)
        relevant = rank(scores, cases, cases).same()
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
                old = name.startswith(("network.backbone.", "network.text.encoder."))
                groups.setdefault((old, parameter.ndim > 1 and "null" not in name), []).append(parameter)
        return [
            {"params": members, "lr": pretrained if old else new} | ({} if decayed else {"weight_decay": 0.0})
            for (old, decayed), members in groups.items()
        ]


def _mean(values: FloatArray) -> float:
    """Mean of the known values; 0 where no query has a relevant case, which a tiny validation part can bring about."""
    return float(np.nan_to_num(mean_known(values)))
