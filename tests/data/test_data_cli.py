"""The commands that work on case tables: synthesize, folds, check. Those of a source stand in its own tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dermquery.cli.data import app
from dermquery.data.case_table import read_cases
from dermquery.lab.data.folds import Folds
from tests.data.made_up import write_csv, write_skin


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_skin(tmp_path / "a.jpg", width=32, height=32)
    rows: list[dict[str, object]] = [
        {"case_id": f"c{i}", "image": "a.jpg", "diagnosis": "mel" if i % 2 else "nv", "lesion_id": f"l{i // 2}"}
        for i in range(40)
    ]
    return write_csv(tmp_path / "cases.csv", rows)


def test_synthesize_then_check_then_folds(tmp_path: Path) -> None:
    done = run("synthesize", "--n", 8, "--seed", 7, "--out", tmp_path / "syn", "--size", 96, "--workers", 1)
    assert done.exit_code == 0, done.output
    assert "8 cases" in done.stdout
    assert "synthetic" in done.stdout
    assert len(read_cases(tmp_path / "syn" / "cases.csv", need=["diagnosis"])) == 8
    done = run("check", tmp_path / "syn" / "cases.csv", "--need", "diagnosis")
    assert done.exit_code == 0
    assert done.stdout.startswith("8 cases\n")


def test_folds(table: Path, tmp_path: Path) -> None:
    done = run("folds", table, "--out", tmp_path / "f.json", "--n-splits", 4, "--seed", 3)
    assert done.exit_code == 0, done.output
    folds = Folds.load(tmp_path / "f.json", read_cases(table))
    assert (folds.n_splits, folds.seed) == (4, 3)
    assert done.stdout.splitlines()[-1] == f"{tmp_path / 'f.json'} {folds.sha256[:12]}"


def test_folds_without_diagnoses(table: Path, tmp_path: Path) -> None:
    table.write_text("case_id,image\na,a.jpg\n", encoding="utf-8")
    done = run("folds", table, "--out", tmp_path / "f.json")
    assert done.exit_code == 2
    assert "missing column diagnosis" in done.stderr
    assert not (tmp_path / "f.json").exists()


def test_check(table: Path) -> None:
    done = run("check", table, "--need", "diagnosis")
    assert done.exit_code == 0
    assert [line.strip() for line in done.stdout.splitlines()] == [
        "40 cases", "20 nv", "20 mel", "20 patients or lesions, 0 rows left out",
    ]  # fmt: skip


def test_check_lists_bad_rows(table: Path) -> None:
    text = table.read_text(encoding="utf-8").replace("c3,a.jpg", "c3,none.jpg").replace("c5,a.jpg", "c4,a.jpg")
    table.write_text(text, encoding="utf-8")
    done = run("check", table)
    assert done.exit_code == 2
    assert "2 of 40 rows" in done.stderr
    assert "line 5 (case 'c3')" in done.stderr
    assert "line 7 (case 'c4'): case_id 'c4' is also on line 6" in done.stderr
    assert done.stdout == ""
    done = run("check", table, "--skip-bad")
    assert done.exit_code == 0
    assert "left out: line 5 (c3)" in done.stderr
    assert "2 rows left out" in done.stdout


def test_the_installed_program_prints_one_message_and_no_traceback(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "dermquery"
    done = subprocess.run(
        [program, "data", "check", tmp_path / "none.csv"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "no such case table" in done.stderr
    assert "Traceback" not in done.stderr
