"""Text that fits a terminal; what is read by another program is not wrapped."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

__all__ = ["columns_of_pipes", "in_columns", "terminal_width"]

_LEAST = 20
"""Characters that a last column needs; with fewer it stands in lines of its own."""
_WIDEST = 28
"""Characters of a name that are shown where all do not fit."""


def terminal_width() -> int | None:
    """Characters of a line, as ``COLUMNS`` or the terminal says; None where neither does."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS"):
        return None
    return shutil.get_terminal_size().columns


def in_columns(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Rows as aligned lines, of which the last cell is wrapped below itself.

    Args:
        rows: of equal length, the header first.
        width: characters of a line; None for any.
    """
    ends = [max(len(row[place]) for row in rows) for place in range(len(rows[0]) - 1)]
    if width is not None and sum(ends) + 2 * len(ends) > width:
        ends = [min(end, _WIDEST, max(8, width // len(rows[0]))) for end in ends]
    indent = sum(ends) + 2 * len(ends)
    lines = []
    for row in rows:
        start = "  ".join(_cut(cell, end).ljust(end) for cell, end in zip(row, ends, strict=False)).rstrip()
        if width is None:
            lines.append(f"{start.ljust(indent)}{row[-1]}".rstrip())
        elif width - indent >= _LEAST:
            parts = textwrap.wrap(row[-1], width - indent) or [""]
            lines += [f"{start.ljust(indent)}{parts[0]}".rstrip(), *(" " * indent + part for part in parts[1:])]
        else:
            own = textwrap.wrap(row[-1], width, initial_indent="    ", subsequent_indent="    ")
            lines += [start, *(own if row is not rows[0] else [])]
    return lines


def columns_of_pipes(markdown: str, width: int | None) -> str:
    """Markdown whose tables are aligned for a terminal, in blocks of as many columns as fit; None leaves it."""
    if width is None:
        return markdown
    shown: list[str] = []
    table: list[list[str]] = []
    for line in [*markdown.split("\n"), ""]:
        if line.startswith("|"):
            cells = line.replace("\\|", "\0").strip("|").split("|")
            table += [[cell.strip().replace("\0", "|") for cell in cells]] if set(line) - set("|-: ") else []
            continue
        shown += _blocks(table, width) if table else []
        table = []
        shown += textwrap.wrap(line, width) or [""]
    return "\n".join(shown[:-1])


def _blocks(rows: list[list[str]], width: int) -> list[str]:
    """A table in blocks, each with the first column."""
    ends = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    ends[0] = min(ends[0], max(_LEAST, width // 3))
    lines: list[str] = []
    at = 1
    while at < len(ends):
        last = at + 1
        while last < len(ends) and ends[0] + sum(end + 2 for end in ends[at : last + 1]) <= width:
            last += 1
        for row in rows:
            firsts = textwrap.wrap(row[0], ends[0]) or [""]
            cells = "".join("  " + row[place].rjust(ends[place]) for place in range(at, last))
            lines += [f"{firsts[0].ljust(ends[0])}{cells}".rstrip(), *firsts[1:]]
        lines += [""] if last < len(ends) else []
        at = last
    return lines


def _cut(cell: str, end: int) -> str:
    return cell if len(cell) <= end else f"{cell[: end - 1]}…"
