"""The case table: one row per case, in CSV, Parquet or a spreadsheet, checked as a whole when it is read.

Only ``case_id`` and ``image`` are required. An empty cell is the only way to say "not known": words such as "NA" are
values. Columns that the project does not know are kept with their case (``Case.extra``) and never encoded.
"""

from __future__ import annotations

import csv
import os
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dermquery.data.case import NUMBERS, Case
from dermquery.data.case_rows import COLUMNS, TEXT_COLUMNS, CaseTable, FindImage, check_rows
from dermquery.data.files import replacing
from dermquery.data.names import FileNames
from dermquery.data.rows import MAX_ROWS, BadRow, CaseTableError, Rows, read_rows
from dermquery.data.value_maps import ValueMaps, in_our_names
from dermquery.data.vocabulary.ages_days import DayOrder

__all__ = [
    "COLUMNS",
    "BadRow",
    "CaseTable",
    "CaseTableError",
    "FindImage",
    "ValueMaps",
    "read_cases",
    "write_cases",
]

_REQUIRED = ("case_id", "image")


def read_cases(
    path: Path,
    *,
    need: Collection[str] = (),
    columns: Mapping[str, str] | None = None,
    values: ValueMaps | None = None,
    ignore: Collection[str] = (),
    sheet: str | None = None,
    skip_bad: bool = False,
    check_images: bool = True,
    find_image: FindImage | None = None,
    max_rows: int = MAX_ROWS,
    date_order: DayOrder | None = None,
    rows: Rows | None = None,
) -> CaseTable:
    """Read and check a case table.

    Args:
        path: a ``.csv`` file as any spreadsheet writes it (:mod:`dermquery.data.table_text`), a ``.parquet`` file or a
            spreadsheet (:mod:`dermquery.data.sheets`). Relative image paths in it are relative to its folder, and found
            however they are spelled (:mod:`dermquery.data.names`).
        need: further columns that every row must fill, such as ``("diagnosis",)`` for training and evaluation.
        columns: names in the table mapped to the project's names, ``{"dx": "diagnosis"}``; one mapped to itself stays
            as it is.
        values: words in the table mapped to others, ``{"diagnosis": {"Basaliom": "bcc"}}``, by our or the table's name.
        ignore: columns of the table to leave out, in its names.
        sheet: of a spreadsheet, the name of the sheet.
        skip_bad: drop the bad rows and keep a record of them in ``skipped``; by default nothing is loaded.
        check_images: whether each image file must exist.
        find_image: another way from an image cell to its file; it raises ValueError with the reason and the remedy.
            With it the image column may be missing, and the case id is looked for.
        max_rows: rows that the table may have.
        date_order: whether dates such as ``03/04/2024`` have the day or the month first ("dmy", "mdy"); without it, a
            column that holds a day beyond 12 settles it.
        rows: what the table holds, if it was read already.

    Raises:
        CaseTableError: for an unreadable file, for missing columns, and for bad rows: all of them in one message.
    """
    path = Path(path)
    rows = read_rows(path, max_rows, sheet) if rows is None else rows
    needed = tuple(dict.fromkeys([*_REQUIRED[: 1 if find_image else 2], *need]))
    names = _our_names(path, list(rows.header), columns or {}, needed, ignore)
    mapped = in_our_names(values or {}, columns or {})
    if unknown := [name for name in mapped if name not in names]:
        raise CaseTableError(
            f"{path}: values of {unknown[0]!r} are mapped, but the table has no such column; after the column "
            f"mapping it has: {', '.join(filter(None, names))}"
        )
    find = find_image or _beside(path.parent.absolute(), check=check_images)
    return check_rows(
        path, rows, names, needed, find, values=mapped, skip_bad=skip_bad, by_id=find_image is not None,
        date_order=date_order,
    )  # fmt: skip


def write_cases(cases: Iterable[Case], path: Path) -> None:
    """Write cases to a ``.csv`` or ``.parquet`` table that :func:`read_cases` reads back unchanged.

    Every known column is written, then the extra ones in the order in which they first appear. Images inside the
    table's folder are written relative to it, so that the folder can be moved. The file appears whole or not at all.

    Raises:
        ValueError: for another suffix, or an extra column named like one of the project's.
    """
    path = Path(path)
    rows = [_row(case, path.parent.absolute()) for case in cases]
    names = list(dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)]))
    if path.suffix == ".csv":
        cells = [[row.get(name, "") for name in names] for row in rows]
        # A lone carriage return is not quoted by the csv module and would end the row.
        unsafe = any("\r" in cell for row in [names, *cells] for cell in row)
        with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL if unsafe else csv.QUOTE_MINIMAL)
            writer.writerows([names, *cells])
    elif path.suffix == ".parquet":
        data = {name: [row.get(name) or None for row in rows] for name in names}
        arrays = {name: pa.array(values, pa.string()) for name, values in data.items()}
        for name in NUMBERS:
            arrays[name] = pa.array([None if cell is None else float(cell) for cell in data[name]], pa.float64())
        with replacing(path) as part:
            pq.write_table(pa.table(arrays), part)
    else:
        raise ValueError(f"cannot write a case table to {path}: name it with the suffix .csv or .parquet")


# --- checking ------------------------------------------------------------------------------------------------------


def _our_names(
    path: Path, header: list[str], columns: Mapping[str, str], needed: Sequence[str], ignore: Collection[str]
) -> list[str]:
    """The header in the project's names, after checking it against the mapping and the needed columns."""
    there = ", ".join(name for name in header if name)
    for theirs in (*columns, *ignore):
        if theirs not in header:
            what = "column mapping" if theirs in columns else "list of columns to ignore"
            raise CaseTableError(f"{path}: the {what} names {theirs!r}, but the table has: {there}")
    if both := sorted({*columns} & {*ignore}):
        raise CaseTableError(f"{path}: {both[0]!r} is both mapped to {columns[both[0]]!r} and ignored; do one of them")
    for theirs, ours in columns.items():
        if ours not in (*COLUMNS, theirs):
            raise CaseTableError(f"{path}: {theirs!r} is mapped to {ours!r}; map it to one of: {', '.join(COLUMNS)}")
    names = ["" if name in ignore else columns.get(name, name) for name in header]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise CaseTableError(
            f"{path}: more than one column is called {', '.join(twice)} (after the column mapping); "
            "rename or remove one, or map it to another name"
        )
    missing = [name for name in dict.fromkeys(needed) if name not in names]
    if missing:
        theirs = next((name for name in header if re.sub(r"[\W_]+", "_", name.casefold()) == missing[0]), "THEIRS")
        raise CaseTableError(
            f"{path}: missing column {', '.join(missing)}; the table has: {there}. Add it, or say which column it is "
            f"with --column {shlex.quote(theirs)}={missing[0]} (in Python: columns={{{theirs!r}: '{missing[0]}'}})"
        )
    return names


def _beside(folder: Path, *, check: bool) -> FindImage:
    """Image paths as they are, or relative to the table's folder."""
    names = FileNames(folder)

    def find(cell: str) -> Path:
        if not check or not cell:
            return folder / cell
        if (image := names.find(cell)) is None:
            raise ValueError(
                f"image file {folder / cell} does not exist; correct the path (relative to the table's folder)"
            )
        return image

    return find


def _row(case: Case, folder: Path) -> dict[str, str]:
    image = Path(os.path.abspath(case.image))  # noqa: PTH100  # resolve() would follow links out of the folder
    row = {"case_id": case.case_id, "image": str(image), **{name: getattr(case, name) or "" for name in TEXT_COLUMNS}}
    if image.is_relative_to(folder):
        row["image"] = image.relative_to(folder).as_posix()
    for name in NUMBERS:
        if (number := getattr(case, name)) is not None:
            row[name] = str(int(number)) if number.is_integer() else repr(number)
    if case.date is not None:
        row["date"] = case.date.isoformat()
    row |= case.checklist
    # A base from before a field was declared holds it among the extra columns; written, it comes into its own.
    if clash := sorted(name for name, value in case.extra.items() if row.get(name) not in (None, "", value)):
        raise ValueError(f"case {case.case_id!r}: extra column named like a known one: {', '.join(clash)}")
    return {**row, **case.extra}
