"""docs/security.md names a test for each promise; they are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_test_that_the_page_names_is_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|.*`tests/.*\|$", text, re.MULTILINE)
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", text))
    assert len(rows) >= 13
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
    assert len(named) >= 15
