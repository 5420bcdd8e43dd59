"""The process that parses a spreadsheet for :mod:`.sheets`: within limits of memory, and alone if it is ended.

It prints lines of JSON: what there is to tell, then the rows. A path, a number of rows and perhaps the name of a sheet
are its arguments.
"""

from __future__ import annotations

import datetime
import json
import re
import resource
import sys
import zipfile
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetVisibleEnum

from dermquery.data.sheet_format import hidden_parts, leading_zeros, sheet_xml
from dermquery.data.spreadsheet_traces import as_number

__all__ = ["main"]

_MEMORY = 4 << 30
_UNPACKED = 1 << 30
"""Bytes that the parts of a workbook may have together once unpacked; 10⁶ rows of ten cells take half of it."""
_FREE, _MOST_RATIO = 64 << 20, 100
"""Beyond so many bytes, they may be so many times as large as the file; a sheet of numbers is ten times as large."""
_LISTED = 3
_CHUNK = 2000
_UNCALCULATED = re.compile(
    rb'<c\b[^>]*?\br="([A-Z]+[0-9]+)"[^>]*>\s*<f\b(?:[^>]*/>|[^>]*>[^<]*</f>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>'
)
_ERRORS = re.compile(rb'<c\b[^>]*?\br="([A-Z]+[0-9]+)"[^>]*?\bt="e"')
_COVERED = re.compile(rb"<table:covered-table-cell")


class _RefusedError(ValueError):
    """The message says what is wrong and the remedy."""


def main(path: Path, max_rows: int, sheet: str | None) -> None:
    """Print what the sheet holds, or the error."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, resource.RLIM_INFINITY))
    try:
        rows, note = _read(path, max_rows, sheet)
    except _RefusedError as error:
        print(json.dumps({"error": str(error)}))  # noqa: T201 - how it answers
        return
    print(json.dumps({"note": note}))  # noqa: T201
    for start in range(0, len(rows), _CHUNK):
        print(json.dumps(rows[start : start + _CHUNK]))  # noqa: T201


def _read(path: Path, max_rows: int, wanted: str | None) -> tuple[list[tuple[int, list[str]]], str]:
    try:
        _check_size(path)
        with CalamineWorkbook.from_path(str(path)) as book:
            name = _choose(book, wanted)
            sheet = book.get_sheet_by_name(name)
            if sheet.height > max_rows + 1:
                raise _RefusedError(f"{sheet.height:,} rows, more than {max_rows:,}; split the table into parts")
            cells = sheet.to_python(skip_empty_area=False)
            title = _titles(cells)
            passed = _checked(path, book.sheet_names.index(name), cells)
            _fill(cells, sheet.merged_cell_ranges or [])
    except PasswordError as error:
        raise _RefusedError("it is protected by a password; save it without one") from error
    except (CalamineError, zipfile.BadZipFile, OSError) as error:
        cut = "it is cut off, copy it again: " if _is_cut(path) else ""
        raise _RefusedError(f"{cut}not a readable spreadsheet ({error}); save it again, or as 'CSV UTF-8'") from error
    rows = [(at, texts) for at, row in enumerate(cells, start=1) if any(texts := [_text(cell) for cell in row])]
    notes = [passed, f"passed over as a title: {next(filter(None, rows[0][1]))!r}" if title else ""]
    return _cut(rows[title:]), "; ".join(filter(None, notes))


def _choose(book: CalamineWorkbook, wanted: str | None) -> str:
    named = ", ".join(repr(name) for name in book.sheet_names)
    if wanted is not None:
        if wanted not in book.sheet_names:
            raise _RefusedError(f"there is no sheet {wanted!r}; it has {named}")
        return wanted
    visible = [meta.name for meta in book.sheets_metadata if meta.visible == SheetVisibleEnum.Visible]
    filled = [name for name in visible if book.get_sheet_by_name(name).height]
    if len(filled) > 1:
        raise _RefusedError(f"several sheets hold something: {', '.join(map(repr, filled))}; name one with --sheet")
    if not filled:
        raise _RefusedError(f"no visible sheet holds anything; it has {named}")
    return filled[0]


def _is_cut(path: Path) -> bool:
    """Whether it begins as a ZIP file, and has no directory at its end."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04" and not zipfile.is_zipfile(path)


def _check_size(path: Path) -> None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            whole, packed = sum(part.file_size for part in parts.infolist()), path.stat().st_size
            if whole > _UNPACKED or whole > max(_FREE, _MOST_RATIO * packed):
                raise _RefusedError(
                    f"its {packed:,} bytes say that they are {whole:,} once unpacked, more than a table has; save the "
                    "sheet as 'CSV UTF-8'"
                )


def _checked(path: Path, sheet: int, cells: list[list[Any]]) -> str:
    """What a parser passes over in silence: errors and what is hidden are told, a formula without a result is refused.

    Numbers that are shown with leading zeros get them.
    """
    if not zipfile.is_zipfile(path):
        return ""
    with zipfile.ZipFile(path) as parts:
        if "content.xml" in parts.namelist():
            if _COVERED.search(parts.read("content.xml")):
                raise _RefusedError(
                    "it has merged cells, whose extent an .ods does not give; unmerge them, or save as .xlsx"
                )
            return ""
        xml = sheet_xml(parts, sheet)
        zeros = leading_zeros(parts, xml)
    if places := _UNCALCULATED.findall(xml):
        raise _RefusedError(
            f"formulas without a result ({_places(places)}): the program that wrote them did not calculate; open the "
            "file in Excel or LibreOffice and save it"
        )
    for (row, column), digits in zeros.items():
        if row < len(cells) and column < len(cells[row]) and isinstance(cells[row][column], float):
            cells[row][column] = _text(cells[row][column]).zfill(digits)
    places = _ERRORS.findall(xml)
    errors = f"{len(places)} cells hold an error such as #N/A and count as empty ({_places(places)})" if places else ""
    return "; ".join(filter(None, (errors, hidden_parts(xml))))


def _fill(cells: list[list[Any]], ranges: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    """Write a merged cell's value into every row and column that it covers."""
    for (top, left), (bottom, right) in ranges:
        for row in cells[top : bottom + 1]:
            row[left : right + 1] = [cells[top][left]] * len(row[left : right + 1])


def _cut(rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Without the columns left and right that are empty in every row."""
    width = len(rows[0][1]) if rows else 0
    used = [place for place in range(width) if any(texts[place] for _, texts in rows)]
    return [(at, texts[used[0] : used[-1] + 1]) for at, texts in rows] if used else []


def _titles(cells: list[list[Any]]) -> int:
    """How many rows of one cell stand above the first wider one; none in a sheet of one column."""
    widths = [width for row in cells if (width := sum(cell != "" for cell in row))]
    return next((place for place, width in enumerate(widths) if width > 1), 0)


def _places(cells: list[bytes]) -> str:
    more = ", …" if len(cells) > _LISTED else ""
    return ", ".join(cell.decode() for cell in cells[:_LISTED]) + more


def _text(value: Any) -> str:
    """A cell as a CSV of the same sheet would have it; whole numbers without a fraction, days without a time.

    A number of more digits than a spreadsheet keeps looks as the sheet shows it, 1.23E+15: no id becomes another.
    """
    if isinstance(value, float) and value.is_integer():
        return as_number(value)
    if isinstance(value, datetime.datetime):
        day = value.time() == datetime.time()
        return value.date().isoformat() if day else value.isoformat(sep=" ", timespec="seconds")
    return str(value).strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
