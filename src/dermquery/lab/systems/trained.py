"""Common part of the trained baselines: one training, one pixel path, and an inner product of vectors as score.

All of them train as the composed model does: same backbone and first weights, same cached pixels, augmentation,
batches, number of epochs, optimiser and averaging (:mod:`dermquery.lab.train`). A system's own file holds its network
and its loss.
"""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dermquery.data.case import Case
from dermquery.data.files import replacing
from dermquery.lab.network.normalise import normalise
from dermquery.lab.network.start import Start
from dermquery.lab.network.vision import build_backbone
from dermquery.lab.systems.ranker import Scores
from dermquery.lab.train.config import TrainConfig
from dermquery.lab.train.fit import fit, take_backbone
from dermquery.lab.train.forms import training_text
from dermquery.lab.train.system import SystemModule
from dermquery.model.architecture import ModelConfig
from dermquery.model.pixels import prepare_pixels
from dermquery.model.sentences import encoded_text

__all__ = ["Batch", "PairNetwork", "Setup", "TrainedRanker"]

_BATCH = 16


@dataclass(frozen=True)
class Setup:
    """Settings that all systems of one table share.

    Attributes:
        model: backbone, preprocessing, text encoder and width.
        train: budget, batches and augmentation.
        start: model whose backbone the training starts from; published weights if None.
        trainer: ``devices``, ``accelerator`` and ``callbacks``.
    """

    model: ModelConfig
    train: TrainConfig
    start: Start | None = None
    trainer: Mapping[str, Any] = field(default_factory=dict)

    def backbone(self) -> nn.Module:
        """A backbone with its first weights."""
        backbone = build_backbone(self.model.vision)
        take_backbone(backbone, self.model.vision, self.start)
        return backbone


class Batch(NamedTuple):
    """Facts for a loss: labels (B,), positions among the training cases (B,), and pairs of other lesions (B, B)."""

    labels: Tensor
    positions: Tensor
    allowed: Tensor


class PairNetwork(nn.Module):
    """A network that encodes queries and targets; their similarity is the inner product."""

    reads_text: ClassVar[bool] = False
    pretrained: ClassVar[tuple[str, ...]] = ("backbone.", "text.encoder.")
    """Prefixes of the parameters that start from published weights."""

    @abstractmethod
    def encode_query(self, pixels: Tensor, texts: Sequence[str | None]) -> Tensor:
        """Vectors (B, D) of queries; ``pixels`` is network input (B, 3, H, W)."""

    @abstractmethod
    def encode_target(self, pixels: Tensor) -> Tensor:
        """Vectors (B, D) of database images."""

    @abstractmethod
    def losses(self, pixels: Tensor, texts: Sequence[str | None], batch: Batch) -> dict[str, Tensor]:
        """Named terms whose sum is minimised."""

    def end_epoch(self) -> None:
        """Called after every epoch of training, for what is not learned by gradient."""

    def kept(self) -> dict[str, Tensor]:
        """Tensors of :meth:`end_epoch` that a resumed run or a loaded system needs."""
        return {}

    def take(self, kept: Mapping[str, Tensor]) -> None:
        """Take back what :meth:`kept` gave."""


class TrainedRanker:
    """A ranker around a :class:`PairNetwork`; ``fit`` trains it in ``folder``, or loads what was trained there before.

    Args:
        setup: what all systems share.
        folder: of the run; it gets ``system.safetensors`` and ``system.json`` beside the logs.
    """

    name: str

    def __init__(self, setup: Setup, folder: Path) -> None:
        self.setup, self.folder = setup, folder
        self.facts: dict[str, Any] = {}
        self._network: PairNetwork | None = None
        self._known: dict[tuple[str, str], NDArray[np.float32]] = {}

    @abstractmethod
    def build(self, labels: Sequence[str], cases: Sequence[Case]) -> PairNetwork:
        """A new network for these labels and training cases."""

    @property
    def network(self) -> PairNetwork:
        """The trained network; RuntimeError before ``fit``."""
        if self._network is None:
            raise RuntimeError("fit the ranker before it scores")
        return self._network

    @property
    def bytes_per_case(self) -> int:
        """Size of one stored vector."""
        return int(next(v for (role, _), v in self._known.items() if role == "target").nbytes)

    @property
    def train_seconds(self) -> float | None:
        """Seconds of the training that wrote the weights."""
        return None if not self.facts else float(self.facts["seconds"])

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Train, or load the weights that a former training left in the folder."""
        weights, facts = self.folder / "system.safetensors", self.folder / "system.json"
        cases = [*training, *validation] if self.setup.train.refit else list(training)
        if weights.is_file() and facts.is_file():
            self.facts = json.loads(facts.read_text(encoding="utf-8"))
            self._network = self.build(self.facts["labels"], cases)
            _load(self._network, load_file(weights))
        else:
            self._network, self.facts = self._trained(training, validation, cases)
            with replacing(weights) as part:
                save_file(_stored(self._network), part)
            with replacing(facts) as part:
                part.write_text(json.dumps(self.facts, indent=1) + "\n", encoding="utf-8")
        self._network.eval()

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        return self.encoded(queries, "query") @ self.encoded(gallery, "target").T

    def encoded(self, cases: Sequence[Case], role: Literal["query", "target"]) -> NDArray[np.float32]:
        """Vectors (n, D) of cases in a role, each computed once."""
        if not self.network.reads_text:
            role = "target"  # without a text, an image has one vector
        missing = [case for case in cases if (role, case.case_id) not in self._known]
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            vectors = self._encode(batch, role)
            self._known.update(zip(((role, case.case_id) for case in batch), vectors, strict=True))
        return np.stack([self._known[role, case.case_id] for case in cases])

    @torch.inference_mode()
    def _encode(self, cases: Sequence[Case], role: str) -> NDArray[np.float32]:
        vision = self.setup.model.vision
        pixels = normalise(torch.from_numpy(np.stack([prepare_pixels(c.image, vision) for c in cases])), vision)
        if role == "target":
            return self.network.encode_target(pixels).float().numpy()
        texts = [encoded_text(case.as_query(), self.setup.model.text) for case in cases]
        return self.network.encode_query(pixels, texts).float().numpy()

    def _trained(
        self, training: Sequence[Case], validation: Sequence[Case], cases: Sequence[Case]
    ) -> tuple[PairNetwork, dict[str, Any]]:
        setup, started = self.setup, time.monotonic()

        def make(everyone: Sequence[Case], steps: int) -> _PairModule:
            labels = sorted({str(case.diagnosis) for case in everyone})
            return _PairModule(self.build(labels, cases), setup, everyone, steps)

        run = fit(make, training, validation, setup.model.vision, setup.train, self.folder, **setup.trainer)
        facts = {
            "labels": list(run.module.labels),
            "epoch": run.best_epoch,
            "epochs": run.epochs,
            "validation_map": run.best_score,
            "seconds": round(time.monotonic() - started, 1),
            "parameters": sum(p.numel() for p in run.module.network.parameters()),
        }
        return run.module.network, facts


class _PairModule(SystemModule):
    """The Lightning module of every baseline."""

    config: TrainConfig

    def __init__(self, network: PairNetwork, setup: Setup, cases: Sequence[Case], steps: int) -> None:
        super().__init__(setup.model.vision, cases, setup.train, steps)
        self.network, self.text = network, setup.model.text
        self.pretrained = tuple(f"network.{prefix}" for prefix in network.pretrained)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        pixels, positions = batch
        texts: list[str | None] = [None] * len(positions)
        if self.network.reads_text:
            dropout = self.config.attribute_dropout
            texts = [training_text(self.cases[i], dropout, self.text) for i in positions.tolist()]
        groups = self.case_groups[positions]
        facts = Batch(self.case_labels[positions], positions, groups[:, None] != groups[None])
        terms = self.network.losses(self.augment(pixels), texts, facts)
        loss = torch.stack(list(terms.values())).sum()
        logged = {f"train/{name}": value.detach() for name, value in terms.items()}
        self.log_dict({**logged, "train/loss": loss.detach()}, on_step=False, on_epoch=True, batch_size=len(pixels))
        return loss

    def on_train_epoch_end(self) -> None:
        self.network.end_epoch()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["kept"] = self.network.kept()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.network.take(checkpoint["kept"])

    def encode(self, pixels: Tensor, cases: Sequence[Case]) -> tuple[Tensor, Tensor]:
        texts = [encoded_text(case.as_query(), self.text) for case in cases]
        return self.network.encode_query(pixels, texts), self.network.encode_target(pixels)


def _stored(network: PairNetwork) -> dict[str, Tensor]:
    """Weights without a frozen text encoder, which is published, and what is kept beside them."""
    frozen = {f"text.{name}" for name, p in _text_parameters(network) if not p.requires_grad}
    state = {name: value.contiguous() for name, value in network.state_dict().items() if name not in frozen}
    return state | {f"kept.{name}": value for name, value in network.kept().items()}


def _load(network: PairNetwork, stored: Mapping[str, Tensor]) -> None:
    state = {name: value for name, value in stored.items() if not name.startswith("kept.")}
    missing, unexpected = network.load_state_dict(state, strict=False)
    if unexpected or any(not name.startswith("text.encoder.") for name in missing):
        raise ValueError(f"the stored weights do not fit: missing {missing[:3]}, unexpected {unexpected[:3]}")
    network.take({name.removeprefix("kept."): value for name, value in stored.items() if name.startswith("kept.")})


def _text_parameters(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
    text = getattr(network, "text", None)
    return list(text.named_parameters()) if isinstance(text, nn.Module) else []
