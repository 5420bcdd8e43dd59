"""Spreadsheets (.xlsx, .xls, .xlsb, .ods) as rows of text.

They are parsed in a process of its own (:mod:`.sheet_worker`): a parser lays a sheet out as a full grid, so one stray
cell in the last corner takes half a terabyte, and ends the process that asked for it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["SHEET_SUFFIXES", "Sheet", "SheetError", "read_sheet"]

SHEET_SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_SECONDS = 120


class SheetError(ValueError):
    """A spreadsheet cannot be read; the message says why and what to do."""


class Sheet(NamedTuple):
    """A sheet's rows that are not blank.

    Attributes:
        numbered: the row's number as the spreadsheet shows it, and its cells as text, the header first.
        note: what was passed over, to be told; empty if nothing was.
    """

    numbered: list[tuple[int, list[str]]]
    note: str


def read_sheet(path: Path, sheet: str | None = None, max_rows: int = 2_000_000) -> Sheet:
    """Read one sheet: the named one, or the only visible one that holds anything.

    Values are those that the spreadsheet shows last: of a formula its result, of a date ``2024-03-31``, of merged cells
    the same in each, of an error such as ``#N/A`` nothing. Blank rows before the header are passed over, and so are
    titles, which are rows of one cell above wider ones.

    Raises:
        SheetError: naming what is wrong and the remedy.
    """
    command = [sys.executable, "-P", "-m", "dermquery.data.sheet_worker", str(path.absolute()), str(max_rows)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [*command, *([] if sheet is None else [sheet])], capture_output=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise SheetError(f"it takes more than {_SECONDS} s to read; {_REMEDY}") from error
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise SheetError(f"it takes too much memory or is damaged; {_REMEDY}")
    told = json.loads(lines[0])
    if "error" in told:
        raise SheetError(told["error"])
    return Sheet([(number, cells) for line in lines[1:] for number, cells in json.loads(line)], told["note"])


_REMEDY = "delete what stands far from the table (rows and columns that look empty), or save the sheet as 'CSV UTF-8'"
