"""The Lightning module of the composed network: one training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dermquery.data.case import Case
from dermquery.lab.evaluate.usefulness import encode_checklist
from dermquery.lab.network.network import ComposedNetwork, Encoded
from dermquery.lab.network.regions import mask_overlap
from dermquery.lab.train import objective
from dermquery.lab.train.config import TrainConfig
from dermquery.lab.train.eye import EyeTerms
from dermquery.lab.train.forms import draw_forms, mix_images
from dermquery.lab.train.system import SystemModule
from dermquery.model.sentences import encoded_text

__all__ = ["RetrievalModule"]


class RetrievalModule(SystemModule):
    """Trains a :class:`ComposedNetwork`; every image of a batch is a query and a target of the others.

    Args:
        network: what is trained.
        cases: all cases that a position in a batch can name; each has a diagnosis.
        config: optimisation and objective.
        steps: optimiser steps of the whole run, for the schedule.
        eye: makes the terms that go on teaching the backbone, from the labels and groups of all cases; None teaches
            nothing.
    """

    pretrained = ("network.backbone.", "network.text.encoder.")
    config: TrainConfig
    case_codes: Tensor
    weights: Tensor

    def __init__(
        self,
        network: ComposedNetwork,
        cases: Sequence[Case],
        config: TrainConfig,
        steps: int,
        eye: Callable[[Tensor, Tensor], EyeTerms] | None = None,
    ) -> None:
        super().__init__(network.config.vision, cases, config, steps)
        self.network = network
        goal = config.objective
        self._buffer("case_codes", torch.from_numpy(encode_checklist(self.cases)).long())
        self._buffer("weights", torch.from_numpy(network.layout.block_weights(network.config.local_weight)))
        shape = (len(self.labels), goal.prototypes, 2 * len(network.layout.levels), network.layout.width)
        self.prototypes = nn.Parameter(torch.randn(shape)) if goal.prototypes else None
        self.eye = None if eye is None else eye(self.case_labels, self.case_groups)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        pixels, positions = batch
        maps, pooled = self.network.seen(self.augment(pixels))
        forms = draw_forms([self.cases[i] for i in positions.tolist()], self.config, self.network.config.text)
        rows = forms.rows.to(self.device)
        asked = mix_images(maps, forms, self.config.image_mix)
        queries = self.network.queries(asked, forms.texts, forms.has_image.to(self.device))
        targets = self.network.targets(maps)
        terms = self._terms(queries, targets, positions, rows)
        overlap = torch.stack([mask_overlap(m) for m in targets.masks]).mean()
        terms["diversity"] = self.config.objective.diversity * overlap
        if self.eye is not None:
            terms |= {f"eye_{name}": value for name, value in self.eye(pooled, positions).items()}
        loss = torch.stack(list(terms.values())).sum()
        logged = {f"train/{name}": value.detach() for name, value in terms.items()}
        logged["train/mask_overlap"] = overlap.detach()
        self.log_dict({**logged, "train/loss": loss.detach()}, on_step=False, on_epoch=True, batch_size=len(pixels))
        return loss

    def _terms(self, queries: Encoded, targets: Encoded, positions: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """Loss terms of queries (Q) made from the batch rows ``rows`` (Q,), and targets (B) of cases ``positions``."""
        goal = self.config.objective
        labels, codes, groups = self.case_labels[positions], self.case_codes[positions], self.case_groups[positions]
        all_blocks, all_labels, all_codes, all_groups = self._gathered(targets.blocks, labels, codes, groups)
        agreement = objective.agreement_matrix(codes[rows], all_codes)
        positives = objective.positive_weights(labels[rows], all_labels, agreement, goal.grading)
        allowed = groups[rows][:, None] != all_groups[None]

        scores = objective.block_scores(queries.blocks, all_blocks, self.weights)
        terms = {"contrast": objective.supervised_contrastive(scores, positives, allowed, goal.temperature)}
        if self.prototypes is not None:
            both = torch.cat([queries.blocks, targets.blocks])
            of_both = torch.cat([labels[rows], labels])
            value = objective.prototype_loss(both, self.prototypes, self.weights, of_both, goal.temperature)
            terms["prototypes"] = goal.prototype_weight * value
        return terms

    def _gathered(self, *values: Tensor) -> tuple[Tensor, ...]:
        """The same tensors from all processes, so that every query meets the targets of all devices."""
        if self.trainer.world_size == 1:
            return values
        return tuple(cast("Tensor", self.all_gather(v, sync_grads=v.is_floating_point())).flatten(0, 1) for v in values)

    def encode(self, pixels: Tensor, cases: Sequence[Case]) -> tuple[Tensor, Tensor]:
        maps = self.network.features(pixels)
        texts = [encoded_text(case.as_query(), self.network.config.text) for case in cases]
        return self.network.queries(maps, texts).blocks.flatten(1), self.network.targets(maps).blocks.flatten(1)

    def score(self, queries: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
        return self.network.layout.score(queries, targets, self.network.config.local_weight)
