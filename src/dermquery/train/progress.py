"""Progress of a training with the time that is left, one line an epoch where the output is no terminal."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import Any

import lightning as pl
from lightning.pytorch.callbacks import Callback
from rich.console import Console

from dermquery.train.module import MONITOR

__all__ = ["EpochProgress"]


class EpochProgress(Callback):
    """Prints epoch, loss, validation and the time left; a terminal also sees the steps of the running epoch."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._started = 0.0
        self._first = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started, self._first = time.monotonic(), trainer.current_epoch

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._console.is_terminal and trainer.is_global_zero:
            total = trainer.num_training_batches
            self._console.print(f"epoch {trainer.current_epoch} step {batch_idx + 1}/{total}", end="\r")

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        epoch, epochs = trainer.current_epoch, trainer.max_epochs or 0
        done = epoch + 1 - self._first
        left = (time.monotonic() - self._started) / done * (epochs - epoch - 1)
        values = trainer.callback_metrics
        shown = [f"loss {float(values['train/loss']):.3f}"] if "train/loss" in values else []
        shown += [
            f"{key.split('/')[1]} {float(values[key]):.3f}" for key in (MONITOR, "validation/acc@1") if key in values
        ]
        if "train/mask_overlap" in values:
            shown.append(f"mask overlap {float(values['train/mask_overlap']):.2f}")
        eta = timedelta(seconds=round(left))
        self._console.print(f"epoch {epoch + 1}/{epochs}  {'  '.join(shown)}  at most {eta} left", highlight=False)
        sys.stderr.flush()
