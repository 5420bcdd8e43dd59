"""A synthetic data set and a tiny trained model, made once through the real command line."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from dermquery.cli import app
from tests.sharing import made_once
from tests.tiny import bert_folder, swin_folder

SURROUNDINGS = {"COLUMNS": "200", "OMP_NUM_THREADS": "1"}


def dermquery(*arguments: object, check: bool = True, process: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command.

    Args:
        arguments: of the command line.
        check: fail the test if the command fails.
        process: start the installed program, as a user does. It takes seconds to import what this process has already.
    """
    line = [str(argument) for argument in arguments]
    if process:
        program = [str(Path(sys.executable).parent / "dermquery"), *line]
        done = subprocess.run(program, capture_output=True, text=True, env=os.environ | SURROUNDINGS, check=False)
    else:
        done = _in_this_process(line)
    if check and done.returncode != 0:
        pytest.fail(f"dermquery {' '.join(line)}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def _in_this_process(line: list[str]) -> subprocess.CompletedProcess[str]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        said = CliRunner(env=SURROUNDINGS).invoke(app, line)
    finally:
        torch.set_num_threads(threads)
    defect = said.exception
    trace = "" if defect is None or isinstance(defect, SystemExit) else "".join(traceback.format_exception(defect))
    return subprocess.CompletedProcess(line, said.exit_code, said.stdout, said.stderr + trace)


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
    world = _world(made_once(tmp_path_factory, "world", lambda folder: _make(_world(folder))))
    os.environ["DERMQUERY_CACHE"] = str(world.folder / "cache")
    return world


def _world(folder: Path) -> World:
    return World(
        folder, folder / "cases" / "cases.csv", folder / "folds.json", folder / "tiny.toml", folder / "run" / "model"
    )


def _make(world: World) -> None:
    folder = world.folder
    os.environ["DERMQUERY_CACHE"] = str(folder / "cache")
    dermquery("data", "synthesize", "--n", 90, "--seed", 7, "--size", 96, "--out", world.table.parent)
    dermquery("data", "folds", world.table, "--out", world.folds, "--n-splits", 2, "--seed", 0)
    world.config.write_text(CONFIG.format(swin=swin_folder(folder / "swin"), bert=bert_folder(folder / "bert")))
    dermquery(
        "train", world.table, "--config", world.config, "--folds", world.folds, "--fold", 0, "--out", folder / "run",
        "--accelerator", "cpu", process=True,
    )  # fmt: skip
