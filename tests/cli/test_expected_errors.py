from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dermquery.cli import app


def test_without_its_libraries_the_laboratory_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    for name in [name for name in sys.modules if name.startswith(("dermquery.lab.data", "sklearn."))]:
        monkeypatch.delitem(sys.modules, name)
    done = CliRunner().invoke(
        app, ["data", "folds", str(tmp_path / "cases.csv"), "--out", str(tmp_path / "folds.json")]
    )
    assert done.exit_code == 2
    expected = "error: sklearn is missing; the laboratory's commands need: pip install 'dermquery[lab]'\n"
    assert done.stderr == expected


def test_help_tells_the_laboratory_apart() -> None:
    help_text = CliRunner().invoke(app, ["--help"]).stdout
    search, laboratory = help_text.split("Laboratory (pip install 'dermquery[lab]')")
    assert "demo" in search
    assert "crossval" in laboratory
