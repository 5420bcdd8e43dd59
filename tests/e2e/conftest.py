"""A synthetic data set and a tiny trained model, made once through the real command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tiny import bert_folder, swin_folder

Run = Callable[..., subprocess.CompletedProcess[str]]


def dermquery(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the installed program, as a user does."""
    program = Path(sys.executable).parent / "dermquery"
    environment = {**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, env=environment, check=False)
    if check and done.returncode != 0:
        pytest.fail(f"dermquery {' '.join(map(str, arguments))}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@dataclass(frozen=True)
class World:
    """What the end-to-end tests share."""

    folder: Path
    table: Path
    folds: Path
    config: Path
    model: Path


CONFIG = """
[model]
width = 16
[model.vision]
backbone = "{swin}"
image_size = 64
[model.text]
encoder = "{bert}"
[model.composer]
heads = 2
max_grid = 8
[model.regions]
count = 2
[train]
epochs = 2
batch_size = 16
average = 0.5
"""


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    os.environ["DERMQUERY_CACHE"] = str(folder / "cache")
    table, folds, config = folder / "cases" / "cases.csv", folder / "folds.json", folder / "tiny.toml"
    dermquery("data", "synthesize", "--n", 90, "--seed", 7, "--size", 96, "--out", table.parent)
    dermquery("data", "folds", table, "--out", folds, "--n-splits", 2, "--seed", 0)
    config.write_text(CONFIG.format(swin=swin_folder(folder / "swin"), bert=bert_folder(folder / "bert")))
    dermquery(
        "train",
        table,
        "--config",
        config,
        "--folds",
        folds,
        "--fold",
        0,
        "--out",
        folder / "run",
        "--accelerator",
        "cpu",
    )
    return World(folder, table, folds, config, folder / "run" / "model")
