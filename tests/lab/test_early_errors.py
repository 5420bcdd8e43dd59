"""Values that cannot be used are refused before minutes of work, with the value and the remedy."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.cli.demo import _CASES
from dermquery.data.case_table import read_cases
from dermquery.lab.cli import compare as commands
from dermquery.lab.cli import evaluate as judging
from dermquery.lab.config import load_config
from dermquery.lab.data.folds import Folds, make_folds
from dermquery.lab.data.trained_on import fingerprints_of
from dermquery.lab.experiment import Plan, Row, comparison, predict
from dermquery.lab.experiment.registry import system
from dermquery.lab.studies import warning_rates

TABLE = _CASES / "cases.csv"


def work(*_: object, **__: object) -> NoReturn:
    raise AssertionError("work began")


def refused(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "500"})
    assert done.exit_code == 2, done.output
    return done.stderr


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("folds") / "folds.json"
    make_folds(read_cases(TABLE).cases).save(path)
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--weights", "nope"], "cannot read the weights 'nope'; give the name of a preset (balanced"),
        (["--weights", "meaning=much"], "the weight 'meaning=much' is no number; write for example meaning=.5"),
        (["--local-weight", 7], "local weight must lie between 0 (global only) and 1 (local only), got 7"),
        (["--weights", "balanced", "--local-weight", 7], "got 7"),
        (["--query", "image"], "unknown part of a query 'image'; use one of: composed, image only"),
        (["--by", "colour"], "no querying case has a column 'colour'; choose from:"),
        (["--group-by", "colour"], "cannot group by 'colour'; use one of: "),
        (["--json", "."], "'.' is a directory"),
    ],
)
def test_evaluate_reads_its_options_before_an_image(
    options: list[object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "check_asked", work)
    assert said in refused("evaluate", "--model", "demo", "--gallery", TABLE, *options)


def test_evaluate_quality_loads_its_model_first(folds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warning_rates, "evaluate_quality", work)
    assert "no model at 'nope'" in refused("evaluate-quality", TABLE, "--folds", folds, "--model", "nope")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--systems", "composed,taught+"], "'taught+' searches by a taught backbone: give it with --start-from"),
        (["--systems", "nope"], "unknown system 'nope'"),
        (["--start-from", "nope"], "no model at 'nope'"),
        (["--also", "nope.csv"], "nope.csv"),
        (["--accelerator", "tpus"], "'tpus' is not one of 'auto', 'cpu', 'gpu'"),
    ],
)
def test_compare_reads_its_options_before_any_process_trains(
    options: list[object], said: str, folds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "run_jobs", work)
    shared = ("--data", TABLE, "--folds", folds, "--out", tmp_path / "out", "--jobs", 2)
    assert said in refused("compare", *shared, *options)


def test_a_start_that_saw_the_last_fold_is_refused_before_the_first_is_trained(
    folds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = read_cases(TABLE).cases
    splits = Folds.load(folds, cases)
    last = splits.n_splits - 1
    start: Any = SimpleNamespace(
        name="eye", trained_on=fingerprints_of(splits.split(cases, last).test), artifact_hash=""
    )
    row = Row("chosen", system("composed"), load_config("demo"))
    monkeypatch.setattr(comparison, "_ask", work)
    with pytest.raises(ValueError, match=rf"test cases of fold {last} were trained on by 'eye'"):
        predict(Plan(cases, splits, tmp_path, start), [row], range(splits.n_splits))
