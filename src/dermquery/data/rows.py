"""Read CSV, Parquet and spreadsheet tables into text cells, each row with the number of its line."""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dermquery.data.sheets import SHEET_SUFFIXES, SheetError, read_sheet
from dermquery.data.spreadsheet_traces import as_number
from dermquery.data.table_text import NotTextError, table_text
from dermquery.data.two_headers import one_header

__all__ = ["MAX_ROWS", "TABLE_SUFFIXES", "BadRow", "CaseTableError", "Rows", "read_csv_rows", "read_rows"]

_CSV_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
_PARQUET_SUFFIXES = (".parquet", ".pq")
TABLE_SUFFIXES = (*_CSV_SUFFIXES, *_PARQUET_SUFFIXES, *SHEET_SUFFIXES)
"""Endings of the files that :func:`read_rows` reads."""

MAX_ROWS = 2_000_000
"""Most rows of a table by default."""
_ROW_BYTES, _CELL_BYTES = 1024, 8
"""Memory that a row may take on average if a table is full, and that a cell takes beside its text."""
_BATCH = 4096
_WHOLE = 2.0**53
"""Floating-point numbers from which not every whole number is one."""


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
        line: 1-based line in a CSV file or row of a sheet, its header included; 1-based row in a Parquet file.
        case_id: as written, possibly empty.
        problems: what is wrong, each with its remedy.
    """

    line: int
    case_id: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """The cells of a table, stripped of surrounding blanks, in composed Unicode (NFC).

    A letter such as "ä" is one character or two, which look the same: macOS writes file names in two. Composed, words
    of any origin are equal if they look so.

    Attributes:
        unit: what a number below counts: "line" of a CSV file or "row" of a sheet, its header included, or "row" of a
            Parquet file.
        header: column names.
        numbered: 1-based number and cells of each row that is not blank.
        note: what of the reading is a guess, or was passed over, to be told; empty if nothing was.
    """

    unit: str
    header: tuple[str, ...]
    numbered: list[tuple[int, list[str]]]
    note: str = ""

    @cached_property
    def fitting(self) -> list[list[str]]:
        """The cells of the rows that have as many as the header; of all rows, if none has.

        What stands in the others is below others' headings, and no case is made of them.
        """
        fitting = [cells for _, cells in self.numbered if len(cells) == len(self.header)]
        return fitting or [cells for _, cells in self.numbered]

    @cached_property
    def counted(self) -> tuple[Counter[str], ...]:
        """The filled cells of each column of :attr:`fitting`, each value with its count."""
        columns = range(len(self.header))
        return tuple(Counter(filter(None, (cells[at] for cells in self.fitting if at < len(cells)))) for at in columns)


def read_rows(path: Path, max_rows: int = MAX_ROWS, sheet: str | None = None) -> Rows:
    """Read a file of one of :data:`TABLE_SUFFIXES`, by its suffix.

    Args:
        path: the file.
        sheet: of a spreadsheet, the name of the sheet; by default the only one that holds anything.
        max_rows: rows that it may have. A Parquet file of 25 KB can hold millions, and little of it says how much
            text: all cells together may take 1 KiB for each row of ``max_rows``.

    Raises:
        CaseTableError: naming the file, what is wrong with it and the remedy.
    """
    if not path.exists():
        raise CaseTableError(f"{path}: no such case table; check the path")
    if path.is_dir():
        raise CaseTableError(f"{path} is a folder; name the table in it, for example {path / 'cases.csv'}")
    suffix = path.suffix.lower()
    if suffix in SHEET_SUFFIXES:
        return _read_sheet(path, max_rows, sheet)
    if sheet is not None:
        raise CaseTableError(f"{path} has no sheets; leave --sheet out")
    if suffix in _CSV_SUFFIXES:
        return read_csv_rows(path, max_rows)
    if suffix in _PARQUET_SUFFIXES:
        return _read_parquet(path, max_rows)
    named = suffix or "a file without suffix"
    raise CaseTableError(f"{path}: a case table is a {', '.join(TABLE_SUFFIXES)} file, not {named!r}")


def read_csv_rows(path: Path, max_rows: int = MAX_ROWS) -> Rows:
    """Read CSV text, whatever the file is called, in the encoding and with the separator that it turns out to have.

    Raises:
        CaseTableError: naming the file, what is wrong with it and the remedy.
        OSError: the file cannot be read.
    """
    try:
        text, before, separator, encoding = table_text(path.read_bytes())
    except NotTextError as error:
        raise CaseTableError(f"{path}: {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    records: list[tuple[int, list[str]]] = []
    start = before + 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                records.append((start, [_clean(cell) for cell in cells]))
            if len(records) > max_rows + 1:  # the header is one
                raise _too_large(path, f"more than {max_rows:,} rows")
            start = before + reader.line_num + 1
    except csv.Error as error:
        raise CaseTableError(f"{path}: line {start} is not valid CSV ({error}); check its quotation marks") from error
    if not records:
        raise CaseTableError(f"{path}: the file is empty; it needs a header with at least: case_id, image")
    rows, groups = one_header(records, "line")
    notes = [f"{path}: {groups}"] if groups else []
    note = f"{path} is not UTF-8 and was read as {encoding}; check its accents and umlauts, or save it as 'CSV UTF-8'"
    notes += [note] if encoding == "Windows-1252" else []
    return Rows("line", tuple(rows[0][1]), list(rows[1:]), "; ".join(notes))


def _read_sheet(path: Path, max_rows: int, sheet: str | None) -> Rows:
    try:
        numbered, note = read_sheet(path, sheet, max_rows)
    except SheetError as error:
        raise CaseTableError(f"{path}: {error}") from error
    if not numbered:
        raise CaseTableError(f"{path}: the sheet is empty; it needs a header with at least: case_id, image")
    cleaned, groups = one_header([(at, [_clean(cell) for cell in cells]) for at, cells in numbered], "row")
    told = "; ".join(filter(None, (note, groups)))
    return Rows("row", tuple(cleaned[0][1]), list(cleaned[1:]), f"{path}: {told}" if told else "")


def _clean(cell: str) -> str:
    return unicodedata.normalize("NFC", cell.strip())


def _read_parquet(path: Path, max_rows: int) -> Rows:
    try:
        with pq.ParquetFile(path) as file:
            schema, metadata = file.schema_arrow, file.metadata
        for field in schema:
            if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
                raise CaseTableError(
                    f"{path}: column {field.name!r} holds {field.type}; a column must hold text or numbers"
                )
        most = max_rows * _ROW_BYTES
        if metadata.num_rows > max_rows:
            raise _too_large(path, f"{metadata.num_rows:,} rows, more than {max_rows:,}")
        unpacked = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
        if max(unpacked, metadata.num_rows * len(schema) * _CELL_BYTES) > most:
            raise _too_large(path, f"more than {most >> 20:,} MiB of cells")
        rows = [cells for batch in _batches(path, schema, most) for cells in _cells(path, batch)]
        if any("\0" in cell for cells in (schema.names, *rows) for cell in cells):
            raise CaseTableError(f"{path}: a cell holds a zero character, which is no text; remove it")
    except UnicodeDecodeError as error:
        raise CaseTableError(
            f"{path}: a column's name is not UTF-8 text ({error.object!r}); rename it and write the file again"
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise CaseTableError(f"{path}: not a readable Parquet file ({error}); write it again") from error
    return Rows("row", tuple(_clean(name) for name in schema.names), list(enumerate(rows, start=1)))


def _batches(path: Path, schema: pa.Schema, most: int) -> Iterator[pa.RecordBatch]:
    """The rows, some at a time, as long as their text takes no more than ``most`` bytes.

    Text is read as a dictionary, as it is stored: a long one that a million rows share is there once, and its length
    is known before it is written out a million times.
    """
    texts = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    taken = 0
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(_BATCH):
            taken += sum(_text_bytes(column) for column in batch.columns)
            if taken > most:
                raise _too_large(path, f"more than {most >> 20:,} MiB of text")
            yield batch


def _text_bytes(column: pa.Array) -> int:
    if isinstance(column, pa.DictionaryArray):
        if not (pa.types.is_string(column.type.value_type) or pa.types.is_large_string(column.type.value_type)):
            return 0
        return pc.sum(pc.take(pc.binary_length(column.dictionary), column.indices)).as_py() or 0
    return int(column.nbytes)


def _cells(path: Path, batch: pa.RecordBatch) -> Iterator[list[str]]:
    columns = [_column(path, name, column) for name, column in zip(batch.schema.names, batch.columns, strict=True)]
    return map(list, zip(*columns, strict=True))


def _column(path: Path, name: str, column: pa.Array) -> list[str]:
    try:
        return [_cell(value) for value in column.to_pylist()]
    except UnicodeDecodeError as error:
        raise CaseTableError(f"{path}: column {name!r} holds text that is not UTF-8; write the file again") from error
    except (OverflowError, ValueError):
        # A moment that Python has no number for. Arrow writes it out, so that whoever checks the cell can name its row.
        return [_cell(value) for value in column.cast(pa.string()).to_pylist()]


def _too_large(path: Path, what: str) -> CaseTableError:
    return CaseTableError(f"{path}: {what}; split the table into parts")


def _cell(value: object) -> str:
    """A Parquet value as the text that a CSV would hold; numbers that pandas made floats become whole again."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return as_number(value, held=_WHOLE)
    return _clean(str(value))
