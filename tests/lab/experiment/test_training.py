"""What a training that failed leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermquery.data.case_table import write_cases
from dermquery.lab.cli.train import cases_and_folds
from dermquery.lab.config import load_config
from dermquery.lab.data.folds import FoldCases, FoldsError
from dermquery.lab.experiment import nothing_trained, train
from tests.tiny import noise_cases


def test_a_folder_in_which_nothing_was_trained_is_free(tmp_path: Path) -> None:
    cases = noise_cases(tmp_path / "images", 12)
    few = FoldCases(train=[*cases[:6]], validation=[*cases[6:7]], test=[*cases[7:]])
    first, other = load_config("lite", ()), load_config("lite", ("train.epochs=3",))
    for config in (first, other):
        with pytest.raises(ValueError, match="do not fill one batch"):
            train(few, config, tmp_path / "run", name="m")
    assert nothing_trained(tmp_path / "run")
    (tmp_path / "run" / "checkpoints").mkdir(exist_ok=True)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(b"an epoch")
    with pytest.raises(ValueError, match="holds a run with another config; choose another --out"):
        train(few, first, tmp_path / "run", name="m")


def test_folds_of_a_run_that_failed_are_made_again(tmp_path: Path) -> None:
    tables = []
    for name, count in (("a", 30), ("b", 40)):
        write_cases(noise_cases(tmp_path / name, count), tmp_path / name / "cases.csv")
        tables.append(tmp_path / name)
    out = tmp_path / "run"
    cases_and_folds(tables[0], None, out)
    with pytest.raises(FoldsError, match="another table"):
        cases_and_folds(tables[1], None, out)
    (out / "run.json").write_text("{}")
    assert len(cases_and_folds(tables[1], None, out)[0]) == 40
    (out / "fold0").mkdir()
    (out / "fold0" / "last.ckpt").write_bytes(b"an epoch")
    with pytest.raises(FoldsError, match="another table"):
        cases_and_folds(tables[0], None, out)
