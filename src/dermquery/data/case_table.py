"""The case table: one row per case, in CSV, Parquet or a spreadsheet, checked as a whole when it is read.

Only ``case_id`` and ``image`` are required. An empty cell is the only way to say "not known": words such as "NA" are
values. Columns that the project does not know are kept with their case (``Case.extra``) and never encoded.
"""

from __future__ import annotations

import csv
import datetime
import os
import re
import shlex
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dermquery.data.case import CASE_FIELDS, NUMBERS, Case, Kind
from dermquery.data.checklist import CRITERIA
from dermquery.data.files import replacing
from dermquery.data.names import FileNames
from dermquery.data.rows import MAX_ROWS, BadRow, CaseTableError, Rows, read_rows
from dermquery.data.vocabulary.ages_days import DayOrder, day_of, order_of, years
from dermquery.data.vocabulary.words import recorded_as

__all__ = [
    "COLUMNS",
    "BadRow",
    "CaseTable",
    "CaseTableError",
    "FindImage",
    "ValueMaps",
    "cell_problem",
    "check_rows",
    "read_cases",
    "write_cases",
]

COLUMNS: tuple[str, ...] = ("case_id", "image", *(name for name in CASE_FIELDS if name != "case_id"))
"""The columns that the project knows, in the order in which they are written."""

_REQUIRED = ("case_id", "image")
_TEXTS = tuple(
    name
    for name, field in CASE_FIELDS.items()
    if field.kind not in (Kind.NUMBER, Kind.DAY, Kind.CRITERION) and name != "case_id"
)
_MAX_LISTED = 50

_Row = Mapping[str, str]
FindImage = Callable[[str], Path]
"""From what a table's image column says to the absolute path of the file; ValueError if there is none."""
ValueMaps = Mapping[str, Mapping[str, str]]
"""By column, in our names: words of the table to the words that are meant; an empty one is "not recorded"."""


@dataclass(frozen=True)
class CaseTable:
    """The cases of a table in the table's order, and the rows that were dropped on request.

    Attributes:
        note: how the file was read where that is a guess, to be told; empty if it is none.
    """

    path: Path
    cases: tuple[Case, ...]
    skipped: tuple[BadRow, ...] = ()
    note: str = ""

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def __len__(self) -> int:
        return len(self.cases)


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
) -> CaseTable:
    """Read and check a case table.

    Args:
        path: a ``.csv`` file as any spreadsheet writes it (:mod:`dermquery.data.table_text`), a ``.parquet`` file or a
            spreadsheet (:mod:`dermquery.data.sheets`). Relative image paths in it are relative to its folder, and found
            however they are spelled (:mod:`dermquery.data.names`).
        need: further columns that every row must fill, such as ``("diagnosis",)`` for training and evaluation.
        columns: names in the table mapped to the project's names, ``{"dx": "diagnosis"}``.
        values: words in the table mapped to others, ``{"diagnosis": {"Basaliom": "bcc"}}``.
        ignore: columns of the table to leave out, in its names.
        sheet: of a spreadsheet, the name of the sheet.
        skip_bad: drop the bad rows and keep a record of them in ``skipped``; by default nothing is loaded.
        check_images: whether each image file must exist.
        find_image: another way from an image cell to its file; it raises ValueError with the reason and the remedy.
            With it the image column may be missing, and the case id is looked for.
        max_rows: rows that the table may have.
        date_order: whether dates such as ``03/04/2024`` have the day or the month first ("dmy", "mdy"); without it, a
            column that holds a day beyond 12 settles it.

    Raises:
        CaseTableError: for an unreadable file, for missing columns, and for bad rows: all of them in one message.
    """
    path = Path(path)
    rows = read_rows(path, max_rows, sheet)
    needed = tuple(dict.fromkeys([*_REQUIRED[: 1 if find_image else 2], *need]))
    names = _our_names(path, list(rows.header), columns or {}, needed, ignore)
    find = find_image or _beside(path.parent.absolute(), check=check_images)
    return check_rows(
        path, rows, names, needed, find, values=values or {}, skip_bad=skip_bad, by_id=find_image is not None,
        date_order=date_order,
    )  # fmt: skip


def check_rows(
    path: Path,
    rows: Rows,
    names: Sequence[str],
    needed: Sequence[str],
    find_image: FindImage,
    *,
    values: ValueMaps | None = None,
    skip_bad: bool = False,
    by_id: bool = False,
    date_order: DayOrder | None = None,
) -> CaseTable:
    """Make cases of the rows of a table, or list what is wrong with them.

    Args:
        path: of the table, for messages.
        rows: what it holds.
        names: of its columns, in the project's words; a column without a name is left out.
        needed: columns that every row must fill.
        find_image: from an image cell to its file.
        values: words mapped to others, as in :func:`read_cases`.
        skip_bad: drop the bad rows.
        by_id: whether a row without an image is looked for by its case id.
        date_order: as in :func:`read_cases`.

    Raises:
        CaseTableError: bad rows, or no row.
    """
    translate = _translator(path, values or {}, names)
    order = date_order or _order(path, rows, names)
    cases: list[Case] = []
    bad: list[BadRow] = []
    seen: dict[str, int] = {}
    for number, cells in rows.numbered:
        row = translate({name: value for name, value in zip(names, cells, strict=False) if name})
        case_id = row.get("case_id", "")
        problems = _shape_problems(names, cells) or _problems(row, needed, order)
        if case_id and seen.setdefault(case_id, number) != number:
            problems.append(f"case_id {case_id!r} is also on {rows.unit} {seen[case_id]}; give each row its own")
        image = Path()
        try:
            image = find_image(row.get("image") or (case_id if by_id else ""))
        except ValueError as error:
            problems.append(str(error))
        if problems:
            bad.append(BadRow(number, case_id, tuple(problems)))
        else:
            cases.append(_case(row, image, order))
    if bad and (not skip_bad or not cases):
        raise CaseTableError(_list_bad(path, rows.unit, bad, len(bad) + len(cases)), bad)
    if not cases:
        raise CaseTableError(f"{path}: the table has a header but no rows; add at least one case")
    return CaseTable(path, tuple(cases), tuple(bad), rows.note)


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
    for theirs, ours in columns.items():
        if ours not in COLUMNS:
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


def _translator(path: Path, values: ValueMaps, names: Sequence[str]) -> Callable[[_Row], _Row]:
    """What puts the words of the value maps in place of a row's; capitals do not matter where no word has them."""
    if unknown := [name for name in values if name not in names]:
        raise CaseTableError(
            f"{path}: values of {unknown[0]!r} are mapped, but the table has no such column; after the column "
            f"mapping it has: {', '.join(filter(None, names))}"
        )
    folded: dict[str, dict[str, str]] = {}
    for name, mapped in values.items():
        exact = {unicodedata.normalize("NFC", theirs.strip()): ours for theirs, ours in mapped.items()}
        folded[name] = {**{theirs.casefold(): ours for theirs, ours in exact.items()}, **exact}

    def translate(row: _Row) -> _Row:
        if not folded:
            return row
        found = dict(row)
        for name, mapped in folded.items():
            if (cell := row.get(name)) is not None:
                found[name] = mapped.get(cell, mapped.get(cell.casefold(), cell))
        return found

    return translate


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


def _shape_problems(names: Sequence[str], values: Sequence[str]) -> list[str]:
    if len(values) == len(names):
        return []
    return [f"{len(values)} cells where the header has {len(names)}; quote cells that hold the separator"]


def _problems(row: _Row, needed: Sequence[str], order: DayOrder | None = None) -> list[str]:
    """What is wrong with the values of one row, each with its remedy."""
    found = [f"{name} is empty; fill it in or remove the row" for name in needed if not row.get(name)]
    found += [f"{name} holds a NUL character; remove it" for name, value in row.items() if "\0" in value]
    for name in NUMBERS:
        if (cell := row.get(name)) and not _is_legal(name, cell):
            most = CASE_FIELDS[name].most
            found.append(f"{name} {cell!r} is not a number from 0 to {most:.0f}; correct it, or leave it empty")
    if date := row.get("date"):
        try:
            day_of(date, order)
        except ValueError as error:
            found.append(f"date {error}; correct it, or rename the column")
    for name, field in CASE_FIELDS.items():
        value = row.get(name, "")
        if value and field.values and value.lower() not in field.values:
            found.append(f"{name} {value!r} is unknown; use one of: {', '.join(field.values)} (or leave it empty)")
    return found


def cell_problem(name: str, value: str, order: DayOrder | None = None) -> str | None:
    """What is wrong with a value of one of our columns, with the remedy; None if nothing is."""
    return next(iter(_problems({name: value}, (), order)), None)


def _list_bad(path: Path, place: str, bad: Sequence[BadRow], total: int) -> str:
    lines = [f"{path}: {len(bad)} of {total} rows cannot be used, so nothing was loaded:"]
    for row in bad[:_MAX_LISTED]:
        who = f" (case {row.case_id!r})" if row.case_id else ""
        lines.append(f"  {place} {row.line}{who}: {'; '.join(row.problems)}")
    if len(bad) > _MAX_LISTED:
        lines.append(f"  ... and {len(bad) - _MAX_LISTED} more bad rows")
    if len(bad) < total:
        lines.append("Correct them, or leave them out with --skip-bad (in Python: skip_bad=True).")
    return "\n".join(lines)


# --- rows and cases ------------------------------------------------------------------------------------------------


def _case(row: _Row, image: Path, order: DayOrder | None) -> Case:
    date = day_of(row["date"], order) if row.get("date") else None
    extra = {name: value for name, value in row.items() if name not in COLUMNS and value}
    for name in ("age", "date"):
        if (written := row.get(name, "")) and not _is_plain(name, written):
            extra.setdefault(recorded_as(name), written)
    return Case(
        case_id=row["case_id"],
        image=image,
        date=date,
        checklist={name: row[name].lower() for name in CRITERIA if row.get(name)},
        extra=extra,
        **{name: _text(name, row.get(name, "")) for name in _TEXTS},
        **{name: _number(name, row[name]) for name in NUMBERS if row.get(name)},
    )


def _text(name: str, written: str) -> str | None:
    """Words as they were written; a value of a closed list in small letters."""
    return (written.lower() if CASE_FIELDS[name].values else written) or None


def _number(name: str, written: str) -> float:
    """A number with a decimal point or a decimal comma; an age also as archives write it."""
    if name == "age":
        return years(written)
    return float(written.replace(",", ".") if written.count(",") == 1 else written)


def _is_legal(name: str, written: str) -> bool:
    try:
        return 0 <= _number(name, written) <= CASE_FIELDS[name].most
    except ValueError:
        return False


def _is_plain(name: str, written: str) -> bool:
    """Whether an age is a mere number, or a day is in ISO 8601, also with a time behind it, as Parquet has it."""
    try:
        if name == "age":
            float(written.replace(",", "."))
        else:
            datetime.datetime.fromisoformat(written)
    except ValueError:
        return False
    return True


def _order(path: Path, rows: Rows, names: Sequence[str]) -> DayOrder | None:
    """The order in which the dates of a table have day and month, if one of them settles it."""
    if "date" not in names:
        return None
    place = list(names).index("date")
    try:
        return order_of(cells[place] for _, cells in rows.numbered if place < len(cells))
    except ValueError as error:
        raise CaseTableError(f"{path}: date: {error}, or say which is meant with --date-order dmy or mdy") from error


def _row(case: Case, folder: Path) -> dict[str, str]:
    image = Path(os.path.abspath(case.image))  # noqa: PTH100  # resolve() would follow links out of the folder
    row = {"case_id": case.case_id, "image": str(image), **{name: getattr(case, name) or "" for name in _TEXTS}}
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
