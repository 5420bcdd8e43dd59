"""One training run: data, trainer, checkpoints and logs, from cases to a trained model."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from dermquery.data.case import Case
from dermquery.model.composed import ComposedModel
from dermquery.model.config import ModelConfig
from dermquery.model.network import ComposedNetwork, count_parameters
from dermquery.train.batches import BalancedBatches, PixelDataset, cache_pixels
from dermquery.train.config import TrainConfig
from dermquery.train.module import MONITOR, RetrievalModule

__all__ = ["Run", "fit", "precision_of"]


@dataclass(frozen=True)
class Run:
    """A finished training: the model of the kept epoch, and what was measured on the way.

    Without a validation part (``refit``) the kept epoch is the last, and ``best_score`` is None.
    """

    model: ComposedModel
    best_score: float | None
    best_epoch: int
    epochs: int
    parameters: dict[str, int]


def precision_of(choice: str, accelerator: str = "auto") -> Any:
    """Lightning's precision flag; ``auto`` takes bf16 where it is native (AVX-512, or the GPU's)."""
    if choice == "auto":
        on_gpu = torch.cuda.is_available() and accelerator != "cpu"
        native = torch.cuda.is_bf16_supported() if on_gpu else torch.cpu.get_capabilities().get("avx512_bf16", False)
        choice = "bf16" if native else "32"
    return "bf16-mixed" if choice == "bf16" else "32-true"


def fit(
    training: Sequence[Case],
    validation: Sequence[Case],
    model_config: ModelConfig,
    config: TrainConfig,
    folder: Path,
    *,
    name: str = "model",
    start: ComposedModel | None = None,
    callbacks: Sequence[Callback] = (),
    devices: int | str = "auto",
    accelerator: str = "auto",
) -> Run:
    """Train on ``training``, stop and choose the epoch on ``validation``, and return the model of that epoch.

    With ``config.refit`` both parts are trained on and the last epoch is kept. ``start`` gives the backbone its first
    weights, for instance those of a model of another data set.

    A run that was killed goes on from its last finished epoch if it is started again with the same ``folder``. The
    folder then holds ``checkpoints/`` (for resuming only), ``metrics.csv`` and TensorBoard events.

    Raises:
        ValueError: too few training images for one batch, fewer than two validation images, or a ``start`` with another
            backbone.
        ImageError: an image cannot be decoded.
    """
    if config.refit:
        training, validation = [*training, *validation], []
    elif len(validation) < 2:
        raise ValueError(f"validation needs at least two cases to retrieve one another, got {len(validation)}")
    pl.seed_everything(config.seed, workers=True, verbose=False)
    draws, loader, held_out = _loaders(training, validation, model_config, config, _world(devices, accelerator))
    network = ComposedNetwork(model_config)
    if start is not None:
        _take_backbone(network, start)
    module = RetrievalModule(network, [*training, *validation], config, steps=len(draws) * config.epochs)
    best = ModelCheckpoint(
        folder / "checkpoints",
        filename="best",
        monitor=None if config.refit else MONITOR,
        mode="max",
        save_last=True,
        enable_version_counter=False,
    )
    trainer = _trainer(config, folder, [best, *callbacks], devices, accelerator, log_every=len(draws))
    # Averaging rounds weights that never changed; the artifact must hold the published ones to the bit.
    frozen = {name: p.detach().clone() for name, p in module.named_parameters() if not p.requires_grad}
    last = folder / "checkpoints" / "last.ckpt"
    with warnings.catch_warnings():
        # One process decodes from a memory map; more workers would only copy it.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Experiment logs directory.*")
        warnings.filterwarnings("ignore", message=".*have no `val_dataloader`.*")  # refit
        trainer.fit(module, loader, held_out, ckpt_path=last if last.is_file() else None, weights_only=True)
    if not trainer.is_global_zero:
        # A helper process of a distributed run has done its part; the caller's files are written by the first one.
        raise SystemExit(0)
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    module.load_state_dict({**state["state_dict"], **frozen})
    return Run(
        model=ComposedModel(module.network.cpu(), name=name, labels=module.labels),
        best_score=None if best.best_model_score is None else float(best.best_model_score),
        best_epoch=int(state["epoch"]) + 1,
        epochs=trainer.current_epoch,
        parameters=count_parameters(network),
    )


def _take_backbone(network: ComposedNetwork, start: ComposedModel) -> None:
    mine, other = network.config.vision.backbone, start.network.config.vision.backbone
    if mine != other:
        raise ValueError(f"cannot start a {mine!r} backbone from {start.name!r}, whose backbone is {other!r}")
    network.backbone.load_state_dict(start.network.backbone.state_dict())


def _loaders(
    training: Sequence[Case], validation: Sequence[Case], model_config: ModelConfig, config: TrainConfig, world: int
) -> tuple[BalancedBatches, DataLoader[Any], DataLoader[Any] | None]:
    """Draws of the training images, and loaders of both parts over one array of decoded pixels."""
    pixels = cache_pixels([*training, *validation], model_config.vision)
    n = len(training)
    labels = sorted({str(case.diagnosis) for case in training})
    draws = BalancedBatches(
        [labels.index(str(case.diagnosis)) for case in training],
        config.batch_size,
        config.balance,
        config.seed,
        rank=int(os.environ.get("LOCAL_RANK", "0")),
        world=world,
    )
    held_out = PixelDataset(pixels, range(n, n + len(validation)))
    return (
        draws,
        DataLoader(PixelDataset(pixels, range(n)), batch_sampler=draws),
        DataLoader(held_out, batch_size=config.batch_size) if len(held_out) else None,
    )


def _trainer(
    config: TrainConfig, folder: Path, callbacks: list[Callback], devices: int | str, accelerator: str, log_every: int
) -> pl.Trainer:
    stopping = [] if config.refit else [EarlyStopping(MONITOR, mode="max", patience=config.patience)]
    averaging = [EMAWeightAveraging(decay=config.average)] if config.average else []
    return pl.Trainer(
        accelerator=accelerator,
        devices=devices,
        precision=precision_of(config.precision, accelerator),
        max_epochs=config.epochs,
        callbacks=[*stopping, *averaging, *callbacks],
        logger=[CSVLogger(folder, name="", version=""), TensorBoardLogger(folder, name="", version="")],
        log_every_n_steps=log_every,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _world(devices: int | str, accelerator: str) -> int:
    """How many processes the trainer will start."""
    if isinstance(devices, int):
        return max(1, devices)
    return torch.cuda.device_count() if torch.cuda.is_available() and accelerator != "cpu" else 1
