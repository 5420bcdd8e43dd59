"""One training run: data, trainer, checkpoints and logs, from cases to a trained network."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import lightning as pl
import numpy as np
import torch
from filelock import FileLock, Timeout
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader

from dermquery.data.case import Case
from dermquery.lab.network.network import ComposedNetwork
from dermquery.lab.network.start import Start
from dermquery.lab.train.batches import BalancedBatches, BesideBatches, PixelDataset, cache_pixels
from dermquery.lab.train.config import OptimisationConfig, TeachConfig, TrainConfig
from dermquery.lab.train.eye import EyeTerms
from dermquery.lab.train.module import RetrievalModule
from dermquery.lab.train.system import MONITOR, SystemModule
from dermquery.model.architecture import ModelConfig, VisionConfig

__all__ = ["Run", "fit", "fit_composed", "precision_of", "take_backbone"]


M = TypeVar("M", bound=SystemModule)


@dataclass(frozen=True)
class Run(Generic[M]):
    """A finished training: the module with the weights of the kept epoch, and what was measured on the way.

    Without a validation part (``refit``) the kept epoch is the last, and ``best_score`` is None.
    """

    module: M
    best_score: float | None
    best_epoch: int
    epochs: int


def precision_of(choice: str, accelerator: str = "auto") -> Any:
    """Lightning's precision flag; ``auto`` takes bf16 where it is native (AVX-512, or the GPU's)."""
    if choice == "auto":
        on_gpu = torch.cuda.is_available() and accelerator != "cpu"
        native = torch.cuda.is_bf16_supported() if on_gpu else torch.cpu.get_capabilities().get("avx512_bf16", False)
        choice = "bf16" if native else "32"
    return "bf16-mixed" if choice == "bf16" else "32-true"


def fit(
    make: Callable[[Sequence[Case], int], M],
    training: Sequence[Case],
    validation: Sequence[Case],
    vision: VisionConfig,
    config: OptimisationConfig,
    folder: Path,
    *,
    beside: Sequence[Case] = (),
    callbacks: Sequence[Callback] = (),
    devices: int | str = "auto",
    accelerator: str = "auto",
) -> Run[M]:
    """Train on ``training``, stop and choose the epoch on ``validation``, and return the module of that epoch.

    With ``config.refit`` both parts are trained on and the last epoch is kept. A run that was killed goes on from its
    last finished epoch if it is started again with the same ``folder``. The folder then holds ``checkpoints/`` (for
    resuming only), ``metrics.csv`` and TensorBoard events.

    Args:
        make: makes the module from all cases of the run (training, validation, beside) and the number of optimiser
            steps.
        training: cases with a diagnosis.
        validation: cases of other lesions with a diagnosis.
        vision: preprocessing of the images.
        config: optimisation.
        folder: of the run.
        beside: cases of a further data set, each with a diagnosis: every batch gets as many of them as it has training
            cases, half of them other photographs of the other half's lesions.
        callbacks: of Lightning's trainer.
        devices: of Lightning's trainer.
        accelerator: of Lightning's trainer.

    Raises:
        ValueError: too few training images for one batch, fewer than two validation images, or another process trains
            in the same folder.
        ImageError: an image cannot be decoded.
    """
    if config.refit:
        training, validation = [*training, *validation], []
    elif len(validation) < 2:
        raise ValueError(f"validation needs at least two cases to retrieve one another, got {len(validation)}")
    pl.seed_everything(config.seed, workers=True, verbose=False)
    draws, loader, held_out = _loaders(training, validation, beside, vision, config, _world(devices, accelerator))
    module = make([*training, *validation, *beside], len(draws) * config.epochs)
    # Two callbacks, because `save_last` saves an epoch only if it is the best so far; a killed run would lose the rest.
    newest = ModelCheckpoint(folder / "checkpoints", filename="last", enable_version_counter=False)
    best = ModelCheckpoint(
        folder / "checkpoints", filename="best", monitor=MONITOR, mode="max", enable_version_counter=False
    )
    kept = newest if config.refit else best
    trainer = _trainer(
        config, folder, [*dict.fromkeys([kept, newest]), *callbacks], devices, accelerator, log_every=len(draws)
    )
    # Averaging rounds weights that never changed; the artifact must hold the published ones to the bit.
    frozen = {name: p.detach().clone() for name, p in module.named_parameters() if not p.requires_grad}
    last = folder / "checkpoints" / "last.ckpt"
    with _alone_in(folder), warnings.catch_warnings():
        # One process decodes from a memory map; more workers would only copy it.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Experiment logs directory.*")
        warnings.filterwarnings("ignore", message=".*have no `val_dataloader`.*")  # refit
        trainer.fit(module, loader, held_out, ckpt_path=last if last.is_file() else None, weights_only=True)
    if not trainer.is_global_zero:
        # A helper process of a distributed run has done its part; the caller's files are written by the first one.
        raise SystemExit(0)
    state = torch.load(kept.best_model_path, map_location="cpu", weights_only=True)
    module.load_state_dict({**state["state_dict"], **frozen})
    return Run(
        module=module.cpu().eval(),
        best_score=None if kept.best_model_score is None else float(kept.best_model_score),
        best_epoch=int(state["epoch"]) + 1,
        epochs=trainer.current_epoch,
    )


def fit_composed(
    training: Sequence[Case],
    validation: Sequence[Case],
    model_config: ModelConfig,
    config: TrainConfig,
    folder: Path,
    *,
    start: Start | None = None,
    beside: Sequence[Case] = (),
    taught: tuple[NDArray[np.float32], TeachConfig] | None = None,
    **trainer: Any,
) -> Run[RetrievalModule]:
    """Train the composed network: :func:`fit` with :class:`RetrievalModule`.

    Args:
        training: as there.
        validation: as there.
        model_config: what is built.
        config: as there.
        folder: as there.
        start: gives the backbone its first weights.
        beside: as there; images without words.
        taught: a teacher's components of all cases (training, validation, beside) and how they are taught: the terms of
            :mod:`.eye` stand beside the objective then, so that the backbone stays what it was taught to be.
        **trainer: callbacks, devices and accelerator.

    Raises:
        ValueError: as there, or a ``start`` with another backbone.
    """

    def make(cases: Sequence[Case], steps: int) -> RetrievalModule:
        network = ComposedNetwork(model_config)
        take_backbone(network.backbone, model_config.vision, start)
        channels: tuple[int, ...] = network.backbone.channels  # type: ignore[assignment]
        eye = (
            None if taught is None else lambda labels, groups: EyeTerms(channels, taught[0], labels, groups, taught[1])
        )
        return RetrievalModule(network, cases, config, steps, eye)

    return fit(make, training, validation, model_config.vision, config, folder, beside=beside, **trainer)


def take_backbone(backbone: nn.Module, vision: VisionConfig, start: Start | None) -> None:
    """Give a new backbone the weights of a taught one, if there is one.

    Raises:
        ValueError: ``start`` has another backbone than ``vision`` names.
    """
    if start is None:
        return
    other = start.vision.backbone
    if vision.backbone != other:
        raise ValueError(
            f"cannot start a {vision.backbone!r} backbone from {start.name!r}, whose backbone is {other!r}"
        )
    backbone.load_state_dict(start.state)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep a second run out of a folder: both would write each other's checkpoints and go on from them.

    A process that dies holds nothing. The helpers of a distributed run share the folder with the first process.
    """
    if int(os.environ.get("LOCAL_RANK", "0")) or int(os.environ.get("NODE_RANK", "0")):
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(folder / "training.lock").acquire(timeout=0)
    except Timeout as error:
        raise ValueError(
            f"another process trains in {folder} just now; wait until it has finished, or choose another --out"
        ) from error
    with held:
        yield


def _loaders(
    training: Sequence[Case],
    validation: Sequence[Case],
    beside: Sequence[Case],
    vision: VisionConfig,
    config: OptimisationConfig,
    world: int,
) -> tuple[BalancedBatches | BesideBatches, DataLoader[Any], DataLoader[Any] | None]:
    """Draws of the training images, and loaders of both parts over one array of decoded pixels."""
    pixels = cache_pixels([*training, *validation, *beside], vision)

    def draws_of(cases: Sequence[Case], *, pairs: bool) -> BalancedBatches:
        labels = sorted({str(case.diagnosis) for case in cases})
        return BalancedBatches(
            [labels.index(str(case.diagnosis)) for case in cases],
            config.batch_size,
            config.balance,
            config.seed,
            rank=int(os.environ.get("LOCAL_RANK", "0")),
            world=world,
            groups=[case.group for case in cases] if pairs else None,
        )

    n = len(training)
    own = draws_of(training, pairs=config.pairs)
    draws = BesideBatches(own, draws_of(beside, pairs=True), n + len(validation)) if beside else own
    held_out = PixelDataset(pixels, range(n, n + len(validation)))
    return (
        draws,
        DataLoader(PixelDataset(pixels, range(len(pixels))), batch_sampler=draws),
        DataLoader(held_out, batch_size=config.batch_size) if len(held_out) else None,
    )


def _trainer(
    config: OptimisationConfig,
    folder: Path,
    callbacks: list[Callback],
    devices: int | str,
    accelerator: str,
    log_every: int,
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
