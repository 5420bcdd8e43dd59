"""The reference pages hold all that they are about."""

from __future__ import annotations

import runpy
from pathlib import Path

import dermquery

ROOT = Path(__file__).parents[2]


def test_the_python_reference_has_every_public_name() -> None:
    page = (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")
    homes = {name: dermquery._HOMES.get(name) for name in dermquery.__all__ if name != "__version__"}
    assert [name for name, home in homes.items() if f"::: {home}.{name}\n" not in page] == []
    assert all(hasattr(dermquery, name) for name in dermquery.__all__)


def test_no_line_of_the_command_line_reference_is_cut() -> None:
    page = runpy.run_path(str(ROOT / "docs/site_hooks.py"))["_command_line"]()
    assert [line for line in page.splitlines() if line.endswith("...") and not line.startswith("$ ")] == []
    assert "* `compare`: Train and ask every system on every fold, and write the paper's tables" in page
