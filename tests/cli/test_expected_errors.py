"""Errors that a user can mend are one message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from dermquery.cli import app


def test_without_its_libraries_the_laboratory_says_what_to_install(tmp_path: Path) -> None:
    """In a process of its own: what is imported here already would not be missed."""
    arguments = ["data", "folds", str(tmp_path / "cases.csv"), "--out", str(tmp_path / "folds.json")]
    script = "import sys; sys.modules['sklearn'] = None; from dermquery.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    expected = "error: sklearn is missing; the laboratory's commands need: pip install 'dermquery[lab]'\n"
    assert done.stderr == expected


def test_help_tells_the_laboratory_apart() -> None:
    help_text = CliRunner().invoke(app, ["--help"]).stdout
    search, laboratory = help_text.split("Laboratory (pip install 'dermquery[lab]')")
    assert "demo" in search
    assert "crossval" in laboratory
