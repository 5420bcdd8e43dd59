"""The example package, installed as anybody's would be: every extension of it through the command line."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from dermquery.data.case_table import write_cases
from dermquery.model.load import load_model
from tests.e2e.conftest import dermquery
from tests.tiny import noise_cases

EXAMPLE = Path(__file__).parents[2] / "examples" / "dermquery-example"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source") / "example"  # a copy, because a build writes beside its sources
    shutil.copytree(EXAMPLE, source)
    target = tmp_path_factory.mktemp("installed")
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
        "--target", str(target), str(source),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def example(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(installed))
    importlib.invalidate_caches()
    yield
    forget()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    write_cases(noise_cases(folder / "images", 20), folder / "cases.csv")
    return folder / "cases.csv"


@pytest.fixture(scope="module")
def base(table: Path) -> Path:
    dermquery("index", table, "--base", table.parent / "shelf" / "clinic", "--model", "demo")
    return table.parent / "shelf" / "clinic"


@pytest.mark.slow
@pytest.mark.usefixtures("example")
def test_encoders_train_a_model_that_needs_the_package_no_more(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = (
        "model.vision.backbone=example-pyramid", "model.text.encoder=example-words", "model.text.reading=verbatim",
        "model.text.frozen=false", "model.width=16", "model.composer.heads=2", "model.regions.count=2",
        "train.epochs=1", "train.batch_size=8", "model.vision.frozen_stages=0",
    )  # fmt: skip
    dermquery("train", table, "--config", "lite", "--out", tmp_path, *(x for c in changes for x in ("--set", c)))
    monkeypatch.undo()
    forget()
    assert find_spec("dermquery_example") is None
    model = load_model(tmp_path / "model")
    assert model.config.vision.image_size == 64, "as the encoder says"
    dermquery("index", table, "--base", tmp_path / "base", "--model", tmp_path / "model")
    found = dermquery("search", "--base", tmp_path / "base", "--text", "atypical network", "--top-k", 3)
    assert "3 of 20 cases" in found.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("example")
def test_a_system_is_a_row_of_the_tables(table: Path, tmp_path: Path) -> None:
    assert "mean colour (asks with image" in dermquery(
        "compare", "--data", table, "--out", tmp_path, "--systems", "help"
    ).stdout  # fmt: skip
    rows = "example_colour,checklist_cosine"
    said = dermquery(
        "compare", "--data", table, "--systems", rows, "--fold", 0, "--out", tmp_path, "--no-report"
    ).stdout
    assert "mean colour" in said
    (answers,) = (tmp_path / "predictions").glob("example_colour-*/fold-0/unseen.parquet")
    assert answers.stat().st_size


@pytest.mark.usefixtures("example")
def test_a_store_and_a_report_format(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMQUERY_SHELF", str(base.parent))
    dermquery("search", "--base", "shelf://clinic", "--text", "atypical network", "--report", tmp_path / "hits.md")
    assert "| 1 | n0" in (tmp_path / "hits.md").read_text("utf-8")
    assert dermquery("base", "info", "shelf://clinic").stdout.startswith(f"{base}: 20 cases")
    refused = dermquery("base", "info", "shelf://a/b", check=False)
    assert (refused.returncode, "write shelf://NAME" in refused.stderr) == (2, True)
    unknown = dermquery("search", "--base", "shelf://clinic", "--text", "x", "--report", "hits.xlsx", check=False)
    assert "use one of: pdf, html, png, csv, json, fhir.json, md" in unknown.stderr


@pytest.mark.usefixtures("example")
def test_a_data_source(tmp_path: Path) -> None:
    pytest.importorskip("dermquery.data.sources.source")
    for case in noise_cases(tmp_path / "raw", 3):
        case.image.rename(case.image.with_name(f"{case.case_id}_{case.diagnosis}.jpg"))
    dermquery("data", "prepare", "example-names", tmp_path / "raw", "--out", tmp_path / "out")
    assert "n000_mel" in (tmp_path / "out" / "cases.csv").read_text("utf-8")


BROKEN = {
    "dermquery.encoders": ("train", "{table}", "--set", "model.vision.backbone=broken", "--out", "{tmp}/run"),
    "dermquery.text_encoders": (
        "train", "{table}", "--set", "model.text.encoder=broken", "--set", "train.batch_size=8",
        "--out", "{tmp}/run",
    ),
    "dermquery.systems": ("compare", "--data", "{table}", "--systems", "broken", "--out", "{tmp}/tables"),
    "dermquery.stores": ("base", "info", "broken://here"),
    "dermquery.reports": ("search", "--base", "{base}", "--text", "blue-whitish veil", "--report", "{tmp}/hits.broken"),
}  # fmt: skip
BREAKAGES = {
    "missing module": ("no_such_module:THING", "ModuleNotFoundError: No module named 'no_such_module'"),
    "another thing": ("os:sep", "gives '/' and not"),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
@pytest.mark.parametrize("group", BROKEN)
def test_a_broken_package_is_named_in_one_line(
    table: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, breakage: str
) -> None:
    value, reason = BREAKAGES[breakage]
    broken_package(tmp_path / "site", group, value)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    said = dermquery(*(part.format(table=table, tmp=tmp_path, base=base) for part in BROKEN[group]), check=False)
    assert said.returncode == 2, said.stderr
    line = said.stderr.strip().splitlines()[-1]
    assert "of the package dermquery-broken 7.1 is broken" in line
    assert reason in line
    assert line.endswith("pip uninstall dermquery-broken")


def test_a_broken_command_leaves_the_others_alone(tmp_path: Path) -> None:
    broken_package(tmp_path, "dermquery.commands", "no_such_module:join")
    done = subprocess.run(
        [sys.executable, "-m", "dermquery", "--help"], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": f"{tmp_path}:{':'.join(filter(None, sys.path))}", "PATH": "", "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the command 'broken' of the package dermquery-broken 7.1 is broken" in done.stderr
    assert "search" in done.stdout


def forget() -> None:
    """Let go of the modules that were imported."""
    for name in [name for name in sys.modules if name.startswith("dermquery_example")]:
        del sys.modules[name]


def broken_package(site: Path, group: str, value: str) -> None:
    """The metadata of an installed package whose entry point is of no use."""
    folder = site / "dermquery_broken-7.1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: dermquery-broken\nVersion: 7.1\n")
    (folder / "entry_points.txt").write_text(f"[{group}]\nbroken = {value}\n")
