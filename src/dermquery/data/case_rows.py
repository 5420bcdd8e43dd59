"""From the rows of a table to cases: what is wrong with a row, each with its remedy, and what its words become."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermquery.data.case import CASE_FIELDS, NUMBERS, Case, Kind
from dermquery.data.checklist import CRITERIA
from dermquery.data.rows import BadRow, CaseTableError, Rows
from dermquery.data.spreadsheet_traces import LOST, is_made_day, is_shortened, lost_zeros, spoiled_ids
from dermquery.data.value_maps import ValueMaps, WordMaps
from dermquery.data.vocabulary.ages_days import (
    TWO_DIGITS,
    DayOrder,
    check_taken,
    day_of,
    has_short_year,
    number_of,
    order_of,
)
from dermquery.data.vocabulary.words import is_missing, recorded_as

__all__ = ["COLUMNS", "TEXT_COLUMNS", "CaseTable", "FindImage", "cell_problem", "check_rows"]

COLUMNS: tuple[str, ...] = ("case_id", "image", *(name for name in CASE_FIELDS if name != "case_id"))
"""The columns that the project knows, in the order in which they are written."""

TEXT_COLUMNS = tuple(
    name
    for name, field in CASE_FIELDS.items()
    if field.kind not in (Kind.NUMBER, Kind.DAY, Kind.CRITERION) and name != "case_id"
)
"""Those that hold words."""
_MAX_LISTED = 50
_NAMING = ("image", *(name for name, field in CASE_FIELDS.items() if field.kind is Kind.ID))
_IDS = tuple(name for name in _NAMING if name != "image")
_WORDS = ("diagnosis", "fine_diagnosis", "site", "laterality", "sex")
_AS_TEXT = "make that column text, enter it again and export again"

_Row = Mapping[str, str]
FindImage = Callable[[str], Path]
"""From what a table's image column says to the absolute path of the file; ValueError if there is none."""


@dataclass(frozen=True)
class CaseTable:
    """The cases of a table in the table's order, and the rows that were dropped on request.

    Attributes:
        notes: what there is to tell: how the file was read where that is a guess, what came of mapped words.
    """

    path: Path
    cases: tuple[Case, ...]
    skipped: tuple[BadRow, ...] = ()
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def __len__(self) -> int:
        return len(self.cases)


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
        values: by our column, words mapped to others.
        skip_bad: drop the bad rows.
        by_id: whether a row without an image is looked for by its case id.
        date_order: as in :func:`read_cases`.

    Raises:
        CaseTableError: bad rows, or no row.
    """
    translate = WordMaps(values or {})
    order = date_order or _order(path, rows, names)
    cases: list[Case] = []
    bad: list[BadRow] = []
    seen: dict[str, int] = {}
    called = {name: theirs for name, theirs in zip(names, rows.header, strict=False) if name != theirs}
    counted = {name: values for name, values in zip(names, rows.counted, strict=False) if name in _IDS}
    spoiled = {name: spoiled_ids(values) for name, values in counted.items()}
    for number, cells in rows.numbered:
        row = _recorded(translate({name: value for name, value in zip(names, cells, strict=False) if name}))
        case_id = row.get("case_id", "")
        problems = _shape_problems(names, cells) or _problems(row, needed, order)
        spoils = ((name, row[name], found[row[name]]) for name, found in spoiled.items() if row.get(name) in found)
        problems += [f"{name} {value!r} {how}; {_AS_TEXT}" for name, value, how in spoils if not is_shortened(value)]
        if case_id and seen.setdefault(case_id, number) != number:
            problems.append(f"case_id {case_id!r} is also on {rows.unit} {seen[case_id]}; give each row its own")
        image = Path()
        try:
            image = find_image(row.get("image") or (case_id if by_id else ""))
        except ValueError as error:
            problems.append(str(error))
        if problems:
            bad.append(BadRow(number, case_id, tuple(_in_their_names(problem, called) for problem in problems)))
        else:
            cases.append(_case(row, image, order))
    if bad and (not skip_bad or not cases):
        raise CaseTableError(_list_bad(path, rows.unit, bad, len(bad) + len(cases)), bad)
    if not cases:
        raise CaseTableError(f"{path}: the table has a header but no rows; add at least one case")
    zeros = (f"{path}: {name}: {told}" for name, values in counted.items() if (told := lost_zeros(values)))
    notes = (rows.note, _years_note(path, rows, names), *zeros, *translate.notes())
    return CaseTable(path, tuple(cases), tuple(bad), tuple(filter(None, notes)))


def _in_their_names(problem: str, called: Mapping[str, str]) -> str:
    """What is wrong with a value, with the name that its column has in the table: "patient_id of 'MRN'"."""
    name, _, rest = problem.partition(" ")
    return f"{name} of {called[name]!r} {rest}" if name in called else problem


def _recorded(row: _Row) -> _Row:
    """The row without the words that say of a number or a day that nothing is known: ``unbekannt``, ``n/a``, ``-``."""
    told = (name for name in (*NUMBERS, "date") if row.get(name) and is_missing(row[name]))
    return {**row, **dict.fromkeys(told, "")}


def _shape_problems(names: Sequence[str], values: Sequence[str]) -> list[str]:
    if len(values) == len(names):
        return []
    return [f"{len(values)} cells where the header has {len(names)}; quote cells that hold the separator"]


def _years_note(path: Path, rows: Rows, names: Sequence[str]) -> str:
    """What there is to tell of years of two digits."""
    place = list(names).index("date") if "date" in names else len(rows.header)
    short = [cells[place] for _, cells in rows.numbered if place < len(cells) and has_short_year(cells[place])]
    return f"{path}: {TWO_DIGITS} in {len(short):,} dates ({short[0]}, …)" if short else ""


def _problems(row: _Row, needed: Sequence[str], order: DayOrder | None = None) -> list[str]:
    """What is wrong with the values of one row, each with its remedy."""
    found = [f"{name} is empty; fill it in or remove the row" for name in needed if not row.get(name)]
    found += [f"{name} holds a NUL character; remove it" for name, value in row.items() if "\0" in value]
    found += [problem for name in NUMBERS if (problem := _number_problem(name, row.get(name, "")))]
    found += [f"{name} {row[name]!r} {LOST}; {_AS_TEXT}" for name in _NAMING if is_shortened(row.get(name, ""))]
    found += [
        f"{name} {row[name]!r} is a day, which spreadsheets make of words; write the word, or leave it empty"
        for name in _WORDS
        if is_made_day(row.get(name, ""))
    ]
    if date := row.get("date"):
        try:
            check_taken(date, day_of(date, order))
        except ValueError as error:
            found.append(f"date {error}; correct it, leave it empty, or rename the column")
    for name, field in CASE_FIELDS.items():
        value = row.get(name, "")
        if value and field.values and value.lower() not in field.values:
            found.append(f"{name} {value!r} is unknown; use one of: {', '.join(field.values)} (or leave it empty)")
    return found


def cell_problem(name: str, value: str, order: DayOrder | None = None) -> str | None:
    """What is wrong with a value of one of our columns, with the remedy; None if nothing is."""
    return next(iter(_problems(_recorded({name: value}), (), order)), None)


def _list_bad(path: Path, place: str, bad: Sequence[BadRow], total: int) -> str:
    lines = [f"{path}: {len(bad)} of {total} rows cannot be used, so nothing was loaded:"]
    for row in bad[:_MAX_LISTED]:
        who = f" (case {row.case_id!r})" if row.case_id else ""
        lines.append(f"  {place} {row.line}{who}: {'; '.join(row.problems)}")
    if len(bad) > _MAX_LISTED:
        lines.append(f"  ... and {len(bad) - _MAX_LISTED} more bad rows")
    # Without them a table is another: whoever leaves out what was shortened loses cases for good.
    if len(bad) < total and not any(_AS_TEXT in problem for row in bad for problem in row.problems):
        lines.append("Correct them, or leave them out with --skip-bad (in Python: skip_bad=True).")
    return "\n".join(lines)


def _case(row: _Row, image: Path, order: DayOrder | None) -> Case:
    date = day_of(row["date"], order) if row.get("date") else None
    extra = {name: value for name, value in row.items() if name not in COLUMNS and value}
    for name in (*NUMBERS, "date"):
        if (written := row.get(name, "")) and not _is_plain(name, written):
            extra.setdefault(recorded_as(name), written)
    return Case(
        case_id=row["case_id"],
        image=image,
        date=date,
        checklist={name: row[name].lower() for name in CRITERIA if row.get(name)},
        extra=extra,
        **{name: _text(name, row.get(name, "")) for name in TEXT_COLUMNS},
        **{name: number_of(name, row[name]) for name in NUMBERS if row.get(name)},
    )


def _text(name: str, written: str) -> str | None:
    """Words as they were written; a value of a closed list in small letters."""
    return (written.lower() if CASE_FIELDS[name].values else written) or None


def _number_problem(name: str, written: str) -> str:
    """What is wrong with a number, with the remedy; empty if nothing is."""
    why = ""
    try:
        if not written or 0 <= number_of(name, written) <= CASE_FIELDS[name].most:
            return ""
    except ValueError as error:
        why = "" if str(error).startswith("could not") else f": {error}"
    return (
        f"{name} {written!r} is not a number from 0 to {CASE_FIELDS[name].most:.0f}{why}; correct it, or leave it empty"
    )


def _is_plain(name: str, written: str) -> bool:
    """Whether a number is nothing else, or a day is in ISO 8601, also with a time behind it, as Parquet has it."""
    try:
        if name == "date":
            datetime.datetime.fromisoformat(written)
        else:
            float(written.replace(",", "."))
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
