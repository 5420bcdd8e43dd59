"""Whole trainings at a small size: learning, resuming after a kill, and two processes."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning as pl
import numpy as np
import pytest
import torch
from filelock import FileLock
from lightning.pytorch.callbacks import Callback

from dermquery.data.case import Case
from dermquery.lab.evaluate.metrics import mean_average_precision
from dermquery.lab.evaluate.ranking import rank
from dermquery.lab.network.eager import network_of, torch_model
from dermquery.lab.network.start import Start
from dermquery.lab.network.text import build_text_encoder
from dermquery.lab.systems.composed import ComposedRanker
from dermquery.lab.train.config import ObjectiveConfig, TrainConfig
from dermquery.lab.train.fit import Run, fit_composed
from dermquery.lab.train.module import RetrievalModule
from dermquery.model.architecture import ModelConfig
from dermquery.model.encoder import ComposedModel
from tests.tiny import noise_cases, tiny_config

EVERYTHING = ObjectiveConfig(grading=2, prototypes=2)


def model_of(run: Run[RetrievalModule]) -> ComposedModel:
    return torch_model(run.module.network, name="model", labels=run.module.labels)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMQUERY_CACHE", str(tmp_path / "cache"))


@pytest.mark.slow
@pytest.mark.parametrize("how", [{}, {"forms": "all", "image_mix": 0.5}])
def test_training_beats_chance_and_writes_its_logs(tmp_path: Path, how: dict[str, Any]) -> None:
    cases = noise_cases(tmp_path / "images", 60)
    config = TrainConfig(
        epochs=8, batch_size=16, learning_rate=5e-3, backbone_rate=0.5, average=0.5, objective=EVERYTHING, **how
    )
    run = fit_composed(cases[:36], cases[36:48], tiny_config(tmp_path), config, tmp_path / "run", accelerator="cpu")
    test = cases[48:]
    composed = mean_average_precision(rank(ComposedRanker(model_of(run)).score(test, test), test, test).same())
    assert composed > 0.7, "three colours are easy; a random order gives about .45"
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))
    logged = {key for row in rows for key, value in row.items() if value}
    assert {"train/loss", "train/contrast", "train/prototypes"} <= logged
    assert {"train/mask_overlap", "validation/map", "validation/macro_map", "validation/acc@1"} <= logged
    assert list((tmp_path / "run").glob("events.out.tfevents.*"))
    assert run.module.labels == ("bkl", "mel", "nv")
    assert run.best_score is not None
    assert 0 < run.best_score <= 1


SCRIPT = """
import os, signal, sys
from pathlib import Path
from lightning.pytorch.callbacks import Callback
from dermquery.lab.train.fit import fit_composed
from tests.lab.train.test_fit import run_of

class Killed(Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.current_epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    folder, epochs, devices = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    run = fit_composed(*run_of(folder, epochs), accelerator="cpu", devices=devices, callbacks=[Killed()])
    print("epochs", run.epochs, "best", run.best_epoch)
"""


def run_of(folder: Path, epochs: int) -> tuple[list[Case], list[Case], ModelConfig, TrainConfig, Path]:
    """What a run in a process of its own trains."""
    cases = noise_cases(folder / "images", 36)
    config = TrainConfig(epochs=epochs, patience=100, batch_size=8, average=0.9, forms="all", image_mix=0.5)
    return cases[:24], cases[24:], tiny_config(folder), config, folder / "run"


def train_in_processes(folder: Path, epochs: int, devices: int) -> subprocess.CompletedProcess[str]:
    script = folder / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(folder), str(epochs), str(devices)]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, check=False
    )


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_last_epoch(tmp_path: Path) -> None:
    """It kills itself in the middle of its third epoch."""
    killed = train_in_processes(tmp_path, epochs=4, devices=1)
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert int(torch.load(last, weights_only=True)["epoch"]) == 1
    run = fit_composed(*run_of(tmp_path, epochs=4), accelerator="cpu")
    assert run.epochs == 4
    epochs = [int(row["epoch"]) for row in csv.DictReader((tmp_path / "run" / "metrics.csv").open()) if row["epoch"]]
    assert set(epochs) >= {2, 3}
    assert max(epochs) == 3


def test_a_folder_that_another_process_trains_in_is_refused(tmp_path: Path) -> None:
    arguments = run_of(tmp_path, epochs=1)
    folder = arguments[-1]
    with FileLock(folder / "training.lock"), pytest.raises(ValueError, match="another process trains in"):
        fit_composed(*arguments, accelerator="cpu")
    assert not list(folder.glob("checkpoints/*"))
    assert fit_composed(*arguments, accelerator="cpu").epochs == 1


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    done = train_in_processes(tmp_path, epochs=2, devices=2)
    assert done.returncode == 0, done.stdout
    assert "epochs 2" in done.stdout


class Drawn(Callback):
    """Remembers which cases each epoch saw."""

    def __init__(self) -> None:
        self.epochs: list[list[int]] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epochs.append([])

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.epochs[-1] += batch[1].tolist()


def test_frozen_weights_stay_the_published_ones_to_the_bit(tmp_path: Path) -> None:
    cases, config = noise_cases(tmp_path / "images", 24), TrainConfig(epochs=2, batch_size=8, average=0.9)
    model_config = tiny_config(tmp_path)
    run = fit_composed(cases[:16], cases[16:], model_config, config, tmp_path / "run", accelerator="cpu")
    published = build_text_encoder(model_config.text).encoder.state_dict()
    for name, value in run.module.network.text.encoder.state_dict().items():
        assert value.equal(published[name]), name


def test_every_epoch_draws_anew(tmp_path: Path) -> None:
    """A trainer that forgets `set_epoch` shows the same part of a large class in every epoch."""
    cases, drawn = noise_cases(tmp_path / "images", 36), Drawn()
    config = TrainConfig(epochs=3, batch_size=8, average=0, precision="32")
    fit_composed(
        cases[:30], cases[30:], tiny_config(tmp_path), config, tmp_path / "run", accelerator="cpu", callbacks=[drawn]
    )
    assert len({tuple(epoch) for epoch in drawn.epochs}) == 3


def test_refit_draws_the_validation_part_too_and_keeps_the_averaged_last_epoch(tmp_path: Path) -> None:
    cases, drawn = noise_cases(tmp_path / "images", 30), Drawn()
    config = TrainConfig(epochs=3, batch_size=10, average=0.5, balance=0, refit=True)
    where = (tiny_config(tmp_path), config, tmp_path / "run")
    run = fit_composed(cases[:20], cases[20:], *where, accelerator="cpu", callbacks=[drawn])
    assert {position for epoch in drawn.epochs for position in epoch} & set(range(20, 30))
    assert (run.best_score, run.best_epoch, run.epochs) == (None, 3, 3)
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    for name, value in run.module.network.named_parameters():
        torch.testing.assert_close(value, state[f"network.{name}"], msg=name)
    again = fit_composed(cases[:20], cases[20:], *where, accelerator="cpu")
    for (name, value), other in zip(
        run.module.network.named_parameters(), again.module.network.parameters(), strict=True
    ):
        assert value.equal(other), name


def test_a_run_starts_from_the_backbone_of_another_model(tmp_path: Path) -> None:
    cases, config = noise_cases(tmp_path / "images", 24), TrainConfig(epochs=1, batch_size=8, average=0)
    how: dict[str, Any] = {"accelerator": "cpu"}
    first = model_of(fit_composed(cases[:16], cases[16:], tiny_config(tmp_path), config, tmp_path / "first", **how))
    still = config.model_copy(update={"learning_rate": 1e-12, "weight_decay": 0.0})
    how["start"] = Start.of(first)
    second = fit_composed(cases[:16], cases[16:], tiny_config(tmp_path), still, tmp_path / "second", **how)
    for name, value in second.module.network.backbone.named_parameters():
        torch.testing.assert_close(value, network_of(first).backbone.get_parameter(name), msg=name)
    other = tiny_config(tmp_path / "other")
    with pytest.raises(ValueError, match="whose backbone is"):
        fit_composed(cases[:16], cases[16:], other, config, tmp_path / "third", **how)


def test_validation_needs_two_cases(tmp_path: Path) -> None:
    cases = noise_cases(tmp_path / "images", 9)
    with pytest.raises(ValueError, match="at least two cases"):
        fit_composed(cases[:8], cases[8:], tiny_config(tmp_path), TrainConfig(), tmp_path / "run")


def test_same_seed_trains_the_same_model(tmp_path: Path) -> None:
    cases = noise_cases(tmp_path / "images", 24)
    config = TrainConfig(epochs=1, batch_size=8, precision="32", average=0)
    runs = [
        fit_composed(cases[:16], cases[16:], tiny_config(tmp_path), config, tmp_path / name, accelerator="cpu")
        for name in "ab"
    ]
    vectors = [model_of(run).encode_case([case.image for case in cases[:4]]) for run in runs]
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)
