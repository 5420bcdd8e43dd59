"""Tables as people have them, CSV or Parquet, read to text cells with the number of each row's line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["BadRow", "CaseTableError", "Rows", "read_rows"]


class CaseTableError(ValueError):
    """A case table cannot be used; the message lists every reason with its remedy.

    Attributes:
        rows: the bad rows, empty if the table as a whole is unusable.
    """

    def __init__(self, message: str, rows: Sequence[BadRow] = ()):
        super().__init__(message)
        self.rows = tuple(rows)


@dataclass(frozen=True)
class BadRow:
    """A row that cannot become a case.

    Attributes:
        line: 1-based line in a CSV file, its header included; 1-based row in a Parquet file.
        case_id: as written, possibly empty.
        problems: what is wrong, each with its remedy.
    """

    line: int
    case_id: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """The cells of a table, stripped of surrounding blanks.

    Attributes:
        unit: what a number below counts: "line" of a CSV file, its header included, or "row" of a Parquet file.
        header: column names.
        numbered: 1-based number and cells of each row that is not blank.
    """

    unit: str
    header: tuple[str, ...]
    numbered: list[tuple[int, list[str]]]


def read_rows(path: Path) -> Rows:
    """Read a ``.csv``, ``.tsv`` or ``.parquet`` file, by its suffix.

    Raises:
        CaseTableError: naming the file, what is wrong with it and the remedy.
    """
    if not path.exists():
        raise CaseTableError(f"{path}: no such case table; check the path")
    if path.is_dir():
        raise CaseTableError(f"{path} is a folder; name the table in it, for example {path / 'cases.csv'}")
    suffix = path.suffix.lower()
    if suffix in {".csv", ".tsv"}:
        return _read_csv(path)
    if suffix in {".parquet", ".pq"}:
        return _read_parquet(path)
    raise CaseTableError(f"{path}: a case table is a .csv or .parquet file, not {suffix or 'a file without suffix'!r}")


def _read_csv(path: Path) -> Rows:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaseTableError(
            f"{path}: not UTF-8 text (byte {error.object[error.start]:#04x} at position {error.start}); "
            "save the table as 'CSV UTF-8' or convert it, for example with: iconv -f WINDOWS-1252 -t UTF-8"
        ) from error
    first = text.splitlines()[0] if text.strip() else ""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    records: list[tuple[int, list[str]]] = []
    start = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                records.append((start, [cell.strip() for cell in cells]))
            start = reader.line_num + 1
    except csv.Error as error:
        raise CaseTableError(f"{path}: line {start} is not valid CSV ({error}); check its quotation marks") from error
    if not records:
        raise CaseTableError(f"{path}: the file is empty; it needs a header with at least: case_id, image")
    return Rows("line", tuple(records[0][1]), records[1:])


def _read_parquet(path: Path) -> Rows:
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise CaseTableError(f"{path}: not a readable Parquet file ({error}); write it again") from error
    for field in table.schema:
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
            raise CaseTableError(
                f"{path}: column {field.name!r} holds {field.type}; a column must hold text or numbers"
            )
    data = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    rows = [(number, list(cells)) for number, cells in enumerate(zip(*data, strict=True), start=1)]
    return Rows("row", tuple(name.strip() for name in table.column_names), rows)


def _cell(value: object) -> str:
    """A Parquet value as the text that a CSV would hold; numbers that pandas made floats become whole again."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
