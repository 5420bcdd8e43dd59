"""Progress of a training: one line for each epoch, with the time left."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import lightning as pl
from lightning.pytorch.callbacks import Callback
from rich.console import Console

from dermquery.lab.train.system import MONITOR

__all__ = ["EpochProgress"]


class EpochProgress(Callback):
    """Prints epoch, loss, validation and the time left; a terminal also sees the steps of the running epoch."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._started = 0.0
        self._first = 0
        self._losses: list[float] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started, self._first = time.monotonic(), trainer.current_epoch

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._losses.append(float(outputs["loss"]))
        if self._console.is_terminal and trainer.is_global_zero:
            total = trainer.num_training_batches
            self._console.print(f"epoch {trainer.current_epoch + 1} step {batch_idx + 1}/{total}", end="\r")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        losses, self._losses = self._losses, []
        if not trainer.is_global_zero:
            return
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        left = (time.monotonic() - self._started) / (epoch - self._first) * (epochs - epoch)
        values = trainer.callback_metrics
        shown = [f"loss {sum(losses) / len(losses):.3f}"] if losses else []
        shown += [f"{key} {float(values[key]):.3f}" for key in (MONITOR, "validation/acc@1") if key in values]
        eta = timedelta(seconds=round(left))
        self._console.print(f"epoch {epoch}/{epochs}  {'  '.join(shown)}  at most {eta} left", highlight=False)
