"""What a foreign table seems to hold, and the command that prepares it.

Columns are known by their names, in the languages that clinics write, and else by what they hold. Nothing is decided:
what is proposed is tried on the table before it is shown, and stands in the command for everybody to change.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dermquery.data.case import CASE_FIELDS, Kind
from dermquery.data.case_rows import COLUMNS, CaseTable, cell_problem
from dermquery.data.case_table import read_cases
from dermquery.data.rows import CaseTableError, Rows, read_rows
from dermquery.data.sources.harmless import ids_may_name
from dermquery.data.sources.headings import doubled, is_ours, may_be_names, why_no_id
from dermquery.data.sources.identifying import PICTURE
from dermquery.data.sources.images import ImageFolder
from dermquery.data.sources.keeping import columns_left_out, left_out
from dermquery.data.sources.taking import FIRST_ORDER, columns_taken
from dermquery.data.vocabulary.ages_days import DayOrder, order_of
from dermquery.data.vocabulary.words import says_nothing, word_for

__all__ = ["ColumnSeen", "Proposal", "TableSeen", "inspect_table"]

_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
_FREQUENT = 6
_OWN_NUMBER = (
    "{!r} is kept as patient_id, as it is written, so that a patient's cases stay together; if these are the numbers "
    "of your register, write pseudonyms in their place"
)
_LINES = 3
"""Rows that are named where none can be used."""
_WORDED = ("diagnosis", "site", "sex", "laterality", "confirmed_by", "image_type", "licence")
"""The columns whose words a vocabulary knows."""


@dataclass(frozen=True)
class ColumnSeen:
    """A column of the table.

    Attributes:
        name: as the table has it.
        taken_for: our name; its own if it is kept beside the case; empty if it is left out.
        kind: what it holds: "numbers", "days", "files", "one word", "words" or "text"; "nothing" if it is empty.
        filled: cells that hold something.
        values: each with its count.
        why_not: what it may say of a person ("date of birth", "free text"); such a column is left out.
        is_double: whether another column has its name; both are left out.
    """

    name: str
    taken_for: str
    kind: str
    filled: int
    values: Counter[str]
    why_not: str = ""
    is_double: bool = False

    @property
    def frequent(self) -> list[tuple[str, int]]:
        """The most frequent values, if some repeat, and they are nobody's name."""
        repeat = not self.why_not and len(self.values) < max(self.filled, 2)
        return self.values.most_common(_FREQUENT) if repeat else []


@dataclass(frozen=True)
class Proposal:
    """How the table could be read: what :func:`~dermquery.data.sources.folder.prepare_folder` takes."""

    columns: Mapping[str, str]
    values: Mapping[str, Mapping[str, str]]
    ignore: tuple[str, ...]
    sheet: str | None
    date_order: DayOrder | None
    skip_bad: bool

    def command(self, table: Path, images: Path | None, map_file: Path | None = None) -> str:
        """The command line; the value maps are in ``map_file`` if there is one."""
        words = ["dermquery", "data", "prepare", "folder", str(images or "IMAGES"), "--table", str(table)]
        words += ["--sheet", self.sheet] if self.sheet is not None else []
        words += [word for theirs, ours in self.columns.items() for word in ("--column", f"{theirs}={ours}")]
        words += [word for name in self.ignore for word in ("--ignore", name)]
        if map_file is not None:
            words += ["--map-file", str(map_file)]
        else:
            maps = ((name, *pair) for name, mapped in self.values.items() for pair in mapped.items())
            words += [word for name, theirs, ours in maps for word in ("--map", f"{name}:{theirs}={ours}")]
        words += ["--date-order", self.date_order] if self.date_order else []
        words += ["--skip-bad"] if self.skip_bad else []
        return shlex.join([*words, "--out", "prepared"])


@dataclass(frozen=True)
class TableSeen:
    """What was seen of a table.

    Attributes:
        rows: how many.
        columns: in the table's order.
        unknown: by our column, values that cannot be used as they are, with their counts.
        strange: by our column, words that no vocabulary knows, and that are kept as they are.
        proposal: how it could be read; None if no column names a case, or two are called by one name that is ours.
        read: how many cases that gives, and the rows that would be left out; None without images.
        notes: what there is to tell.
    """

    rows: int
    columns: tuple[ColumnSeen, ...]
    unknown: Mapping[str, Counter[str]]
    strange: Mapping[str, Counter[str]]
    proposal: Proposal | None
    read: CaseTable | None
    notes: tuple[str, ...]

    @property
    def maps(self) -> list[tuple[str, str, str]]:
        """Column, value and what is proposed for it; a word that no vocabulary knows stays what it is."""
        values = {} if self.proposal is None else self.proposal.values
        proposed = [(name, theirs, ours) for name, mapped in values.items() for theirs, ours in mapped.items()]
        return proposed + [(name, word, word) for name, found in self.strange.items() for word in found]


def inspect_table(path: Path, images: Path | None = None, *, sheet: str | None = None) -> TableSeen:
    """Look at a table, and propose how it is prepared.

    Args:
        path: the table.
        images: the folder of its images, if it is at hand: then the image column is known by its files, and the
            proposal is tried.
        sheet: of a spreadsheet, the sheet.

    Raises:
        CaseTableError: the table cannot be read.
        PrepareError: ``images`` is no folder of images.
    """
    rows = read_rows(path, sheet=sheet)
    folder = None if images is None else ImageFolder(images)
    counted = rows.counted
    is_file = None if folder is None else partial(folder.names, beside=path)
    no_ids = columns_left_out(rows, is_file=is_file, for_ids=True)
    taken = columns_taken(rows, folder, path, no_ids)
    # An id that was not taken for one, and what else would be kept beside the case.
    named = [name for name, ours in zip(rows.header, taken, strict=True) if ours in COLUMNS]
    persons = columns_left_out(rows, is_file=is_file, on_purpose=named)
    taken = ["" if name in persons else ours for name, ours in zip(rows.header, taken, strict=True)]
    ignored = tuple(dict.fromkeys(name for name, ours in zip(rows.header, taken, strict=True) if name and not ours))
    double = doubled(rows, counted)
    columns = tuple(
        ColumnSeen(name, ours, _kind(values), values.total(), values, persons.get(name, ""), name in double)
        for name, ours, values in zip(rows.header, taken, counted, strict=True)
    )
    unknown = {seen.taken_for: found for seen in columns if seen.taken_for in CASE_FIELDS and (found := _unknown(seen))}
    strange = {seen.taken_for: found for seen in columns if (found := _strange(seen))}
    renamed = {seen.name: seen.taken_for for seen in columns if seen.taken_for and seen.taken_for != seen.name}
    maps = {
        name: {word: _proposed(name, word) for word in found}
        for name, found in unknown.items()
        if CASE_FIELDS[name].kind is not Kind.ID  # which no other word stands for
    }
    notes = [rows.note] if rows.note else []
    single = {name: why for name, why in persons.items() if name not in double}
    notes += [left_out(single)] if single else []
    notes += [_OWN_NUMBER.format(seen.name) for seen in columns if seen.taken_for == "patient_id"]
    notes += [
        cell_problem(name, next(iter(found))) or ""
        for name, found in unknown.items()
        if name not in maps or name in _WORDED
    ]
    notes += filter(None, [why_no_id(rows, counted, taken, {*no_ids, *double})])
    notes += [f"more than one column is called {name!r}; rename one, and inspect again" for name in double]
    if any(is_ours(name) for name in double):
        return TableSeen(len(rows.numbered), columns, unknown, strange, None, None, tuple(notes))
    if "case_id" not in taken:
        ids = [seen for seen in columns if seen.taken_for == "image" and ids_may_name(seen.values)]
        notes += [may_be_names(seen.name) for seen in ids]
        notes.append("no column names each row once; add one with an id for each, or call it case_id")
        return TableSeen(len(rows.numbered), columns, unknown, strange, None, None, tuple(notes))
    order = _stated_order(columns)
    if order:
        notes.append(
            "dates may have the day or the month first; the command says day first, for which mdy is the other"
        )
    proposal = Proposal(renamed, maps, ignored, sheet, order, skip_bad=False)
    try:
        read = None if folder is None else _tried(path, rows, folder, proposal)
    except CaseTableError as error:
        _, *lines = str(error).splitlines()
        notes.append(f"no row can be used as it is; {'; '.join(line.strip() for line in lines[:_LINES])}")
        return TableSeen(len(rows.numbered), columns, unknown, strange, None, None, tuple(notes))
    if read is not None:
        notes += [note for note in read.notes if note != rows.note]
    if read is not None and read.skipped:
        proposal = dataclasses.replace(proposal, skip_bad=True)
        notes += [f"{len(read.skipped)} rows would be left out, the first: {'; '.join(read.skipped[0].problems)}"]
    return TableSeen(len(rows.numbered), columns, unknown, strange, proposal, read, tuple(notes))


def _tried(path: Path, rows: Rows, folder: ImageFolder, proposal: Proposal) -> CaseTable:
    """The cases that the proposal gives.

    Raises:
        CaseTableError: none.
    """
    return read_cases(
        path, columns=proposal.columns, values=proposal.values, ignore=proposal.ignore, skip_bad=True, rows=rows,
        find_image=lambda name: folder.find(name, beside=path), date_order=proposal.date_order,
    )  # fmt: skip


# --- columns -------------------------------------------------------------------------------------------------------


def _kind(values: Counter[str]) -> str:
    if not values:
        return "nothing"
    if len(values) == 1:
        return "one word"
    if all(_NUMBER.fullmatch(value) for value in values):
        return "numbers"
    if all(cell_problem("date", value, FIRST_ORDER) is None for value in values):
        return "days"
    if all(PICTURE.fullmatch(value) for value in values):
        return "files"
    return "text" if sum(map(len, values)) > 40 * len(values) else "words"


# --- values --------------------------------------------------------------------------------------------------------


def _unknown(seen: ColumnSeen) -> Counter[str]:
    return Counter(
        {value: n for value, n in seen.values.items() if cell_problem(seen.taken_for, value, FIRST_ORDER) is not None}
    )


def _stated_order(columns: Sequence[ColumnSeen]) -> DayOrder | None:
    """The order of days that has to be stated: the days of the table say none, or several."""
    for seen in columns:
        if seen.taken_for == "date":
            try:
                order = order_of(seen.values)
            except ValueError:
                return FIRST_ORDER
            unclear = any(
                cell_problem("date", value, order) != cell_problem("date", value, FIRST_ORDER) for value in seen.values
            )
            return FIRST_ORDER if unclear and order != "mdy" else None
    return None


def _strange(seen: ColumnSeen) -> Counter[str]:
    if seen.taken_for not in _WORDED:
        return Counter()
    field = "diagnosis_path" if seen.taken_for == "diagnosis" else seen.taken_for
    words = {word: count for word, count in seen.values.items() if cell_problem(seen.taken_for, word) is None}
    return Counter({w: n for w, n in words.items() if word_for(field, w) is None and not says_nothing(field, w)})


def _proposed(name: str, word: str) -> str:
    """The nearest legal word; empty, "not recorded", if none is near."""
    near = difflib.get_close_matches(word.casefold(), CASE_FIELDS[name].values, 1)
    return near[0] if near else ""
