"""Tables on narrow terminals."""

from __future__ import annotations

import pytest

from dermquery.cli.width import columns_of_pipes, in_columns, terminal_width

ROWS = [
    ("column", "taken for", "holds", "filled", "values"),
    ("Lokalisation", "site", "words", "1,200", ", ".join(f"Rücken {n}" for n in range(30))),
    ("A very long name of a column that somebody made", "(kept beside)", "text", "7", ""),
]
MARKDOWN = """# Title

| System | Acc@1 | mAP | macro mAP | coverage |
|---|---:|---:|---:|---:|
| frozen features and a logistic regression | 85.4 [80.1–90.2] | 80.4 [75.0–85.0] | 65.1 [60.0–70.0] | 88.0 |
| chance \\| random | 50.0 | 51.0 | 33.0 | 100.0 |

A sentence after the table."""


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(width: int) -> None:
    lines = in_columns(ROWS, width)
    assert max(map(len, lines)) <= width
    assert [word for line in lines for word in line.replace(",", " ").split() if word.isdigit()].count("29") == 1
    shown = columns_of_pipes(MARKDOWN, width).split("\n")
    assert max(map(len, shown)) <= width
    for cell in ("85.4 [80.1–90.2]", "65.1 [60.0–70.0]", "coverage", "A sentence after", "regression"):
        assert any(cell in line for line in shown), cell


def test_what_another_program_reads_is_not_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal_width() is None
    assert columns_of_pipes(MARKDOWN, None) == MARKDOWN
    assert len(in_columns(ROWS, None)) == len(ROWS)
    monkeypatch.setenv("COLUMNS", "60")
    assert terminal_width() == 60
