"""The tables of releases, known by their columns, whatever they are called."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dermquery.data.rows import BadRow, CaseTableError, Rows, read_csv_rows, read_rows
from dermquery.data.table_text import NotTextError, table_text

__all__ = ["Layout", "NamedTable", "Row", "header_of", "known_layout", "read_table"]

Row = dict[str, str]
_SNIFFED = 1 << 16
_TEXT_SUFFIXES = {".csv", ".tsv", ".tab", ".txt", ""}
"""Dataverse gives tables an ending of its own, or none."""


@dataclass(frozen=True)
class Layout:
    """One kind of table of a release.

    Attributes:
        has: columns by which it is known.
        columns: their names mapped to ours, to ``class`` (the diagnosis in the source's word), or to nothing if they
            are left out. The others are kept as they are.
        classes: columns of which exactly one holds 1, the others 0: the name of that one is the row's ``class``.
        key: our name of the column by which a further table is joined to that of the images.
        needed: whether the release is of no use without it.
    """

    has: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    key: str = "case_id"
    needed: bool = True


@dataclass(frozen=True)
class NamedTable:
    """A table in our names.

    Attributes:
        unit, note: as of its :class:`~dermquery.data.rows.Rows`.
        rows: number and values of each row; empty cells are left out.
        bad: rows without exactly one class, or of another width than the header.
    """

    path: Path
    layout: Layout
    unit: str
    note: str
    rows: list[tuple[int, Row]]
    bad: list[BadRow]


def header_of(path: Path) -> tuple[str, ...]:
    """The column names of a text table, of which only the beginning is read; empty if it is none."""
    if path.suffix.lower() not in _TEXT_SUFFIXES or path.name.startswith("."):
        return ()
    with path.open("rb") as file:
        data = file.read(_SNIFFED)
    try:
        text, _, separator, _ = table_text(data if len(data) < _SNIFFED else data[: data.rfind(b"\n") + 1])
        cells = next((row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(row)), [])
    except (NotTextError, csv.Error):
        return ()
    return tuple(cell.strip() for cell in cells)


def read_table(path: Path, layouts: Sequence[Layout]) -> NamedTable:
    """Read a table whose columns are those of one of the layouts.

    Raises:
        CaseTableError: it cannot be read, or is none of them.
    """
    text = path.suffix.lower() in _TEXT_SUFFIXES and path.is_file()
    read: Rows = read_csv_rows(path) if text else read_rows(path)
    if (layout := known_layout(read.header, layouts)) is None:
        wanted = " or ".join(", ".join(kind.has) for kind in layouts)
        raise CaseTableError(f"{path}: it must have the columns {wanted}; it has: {', '.join(read.header)}")
    names = [layout.columns.get(name, name) for name in read.header]
    rows, bad = [], []
    for number, cells in read.numbered:
        row = {name: cell for name, cell in zip(names, cells, strict=False) if name and cell}
        problems = _shape(cells, read.header) or _one_class(row, layout.classes)
        if problems:
            bad.append(BadRow(number, row.get(layout.key, ""), tuple(problems)))
        else:
            rows.append((number, row))
    return NamedTable(path, layout, read.unit, read.note, rows, bad)


def known_layout(header: Collection[str], layouts: Sequence[Layout]) -> Layout | None:
    """The first layout whose columns a table has."""
    return next((layout for layout in layouts if set(layout.has) <= set(header)), None)


def _shape(cells: Sequence[str], header: Sequence[str]) -> list[str]:
    if len(cells) == len(header):
        return []
    return [f"{len(cells)} cells where the header has {len(header)}; the table was changed, take it as published"]


def _one_class(row: Row, classes: Sequence[str]) -> list[str]:
    """Put the class that holds 1 into the row; what is wrong if it is not exactly one."""
    if not classes:
        return []
    marks = {name: row.pop(name, "") for name in classes}
    try:
        numbers = {name: float(cell or "0") for name, cell in marks.items()}
    except ValueError:
        cell = next(cell for cell in marks.values() if not cell.replace(".", "", 1).isdecimal())
        return [f"{cell!r} stands where a class has 0 or 1; correct it"]
    ones = [name for name, number in numbers.items() if number]
    if [numbers[name] for name in ones] != [1.0]:
        held = ", ".join(f"{name} {numbers[name]:g}" for name in ones) or "none"
        return [f"exactly one class must hold 1 and the others 0, but here {held} does; correct it"]
    row["class"] = ones[0]
    return []
