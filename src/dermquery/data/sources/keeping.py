"""Which further columns of a table are kept: those of which something says that they name nobody.

A case base keeps what a table says of its cases, and shows it to everybody who searches. Headings that name patients,
relatives or staff are without number, so it is asked the other way round. A column that the project does not know is
kept if its heading says a fact of the lesion or of the picture (:mod:`.column_facts`) and every word below it is known
(:mod:`.harmless`), or if all that it holds are small numbers, answers and words of the vocabularies; and if no value
looks like a person's name, number or address. Every other one is left out, and named with the option that keeps it.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from dermquery.data.case import CASE_FIELDS
from dermquery.data.case_rows import COLUMNS, CaseTable
from dermquery.data.case_table import read_cases
from dermquery.data.merging import ALSO_IN
from dermquery.data.rows import Rows, read_rows
from dermquery.data.sources.column_facts import heading_says_fact, heading_words, word_lists_of_columns
from dermquery.data.sources.column_names import column_named, plain
from dermquery.data.sources.harmless import (
    answers,
    are_known_words,
    ids_may_name,
    is_known_word,
    measures,
    texts_may_name,
)
from dermquery.data.sources.identifying import (
    BORN,
    LOOKS,
    NAME,
    PICTURE,
    is_early,
    look,
    median_year,
    most,
    ours_identify,
    year_of,
)
from dermquery.data.sources.lesions import within_patients
from dermquery.data.vocabulary.words import is_missing, recorded_as

__all__ = ["REASONS", "columns_left_out", "left_out", "not_kept", "read_kept"]

_LOOKED_AT = 1000
"""Different values by which what is not kept is named."""
_MOST_WORDS = 8
"""Words of a value from which it is a sentence."""
_INITIALS = 3
"""Letters of which the initials of the staff may be."""
_NUMBERS, _NAMES = "numbers that may be a person's", "words that may be names"
_TEXT, _DAYS = "free text", "days or years, of what is not known"
_PATIENT, _LODGED = "number of a patient", "where a patient lies"
REASONS = (*sorted(LOOKS), _NUMBERS, _NAMES, _TEXT, _DAYS, _PATIENT, _LODGED)
"""Why a column may be left out."""
_YEAR = frozenset({"year", "jahr", "jaar", "annee"})
_IDS = ("case_id", "patient_id", "lesion_id", "study_uid", "series_uid", "instance_uid")
_CLINICAL = ("diagnosis", "fine_diagnosis", "diagnosis_path", "site", "device", "confirmed_by")
_TOLD = (*_CLINICAL, "source")
"""Our columns whose words are many; those of diagnoses and places that are in no vocabulary are told."""
_OURS = frozenset({ALSO_IN, *map(recorded_as, CASE_FIELDS)})
"""Further columns that the project itself writes."""


def columns_left_out(
    rows: Rows,
    *,
    on_purpose: Collection[str] = (),
    is_file: Callable[[str], bool] | None = None,
    for_ids: bool = False,
) -> dict[str, str]:
    """The columns of a table that are not kept, each with the reason ("date of birth", "free text").

    Args:
        rows: the table.
        on_purpose: headings that are kept, whatever they hold.
        is_file: whether a value names a picture.
        for_ids: whether it is asked which columns may become ours. Words that nobody knows are no reason against a
            column of pictures, which the preparation calls by their case ids, nor against other words, which are told.
    """
    years = [
        median_year(values, alone=not _YEAR.isdisjoint(heading_words(name)))
        for name, values in zip(rows.header, rows.counted, strict=True)
    ]
    found: dict[str, str] = {}
    for place, name in enumerate(rows.header):
        values = rows.counted[place]
        if not name or name in on_purpose or not values:
            continue
        others = [year for other, year in enumerate(years) if year is not None and other != place]
        why = _why_not(name, values, years[place], others, for_ids=for_ids)
        # In this order: looking for files takes longest.
        if why is not None and not ((for_ids or not ids_may_name(values)) and _names_files(values, is_file)):
            found.setdefault(name, why)
    return found


def left_out(found: Mapping[str, str]) -> str:
    """What was found, for people, and how a column is kept all the same."""
    options = " ".join(f"--column {shlex.quote(f'{name}={_ours_for(name)}')}" for name in found)
    return f"left out, as they may name a person: {_named(found)}; of these, what names nobody is kept by: {options}"


def not_kept(
    path: Path, rows: Rows, *, named: Collection[str], is_file: Callable[[str], bool] | None = None
) -> tuple[dict[str, str], str]:
    """As :func:`columns_left_out`, and what there is to tell; a table that the project wrote itself comes back whole.

    Args:
        path: of the table.
        rows: what it holds.
        named: headings that the user spoke of.
        is_file: whether a value names a picture.
    """
    found = columns_left_out(rows, on_purpose=named, is_file=is_file)
    is_own = rows.header[: len(COLUMNS)] == COLUMNS
    if not is_own and not (path.name == "cases.csv" and path.with_name("prepare.json").is_file()):
        return found, left_out(found) if found else ""
    sure = {name: why for name, why in found.items() if name not in COLUMNS and why in LOOKS}
    told = f"kept, as the table was written by dermquery, though they identify persons: {_named(sure)}" if sure else ""
    return {name: why for name, why in found.items() if name in COLUMNS}, told


def read_kept(path: Path, *, columns: Mapping[str, str], skip_bad: bool) -> tuple[CaseTable, str]:
    """A case table without the columns that are not kept, and what there is to tell of them.

    Raises:
        CaseTableError: as :func:`~dermquery.data.case_table.read_cases`.
    """
    rows = read_rows(path)
    found, told = not_kept(path, rows, named=[*COLUMNS, *columns])
    read = read_cases(path, columns=columns, ignore=[*found], skip_bad=skip_bad, rows=rows)
    cases, numbered = within_patients(read.cases)
    return replace(read, cases=tuple(cases), notes=(*read.notes, *numbered)), told


def _named(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name!r} ({why})" for name, why in found.items())


def _ours_for(name: str) -> str:
    """Our column that a heading may mean, where the reader has to say so: ``MRN`` is a patient's number."""
    ours = column_named(name)
    return ours if ours in ("patient_id", "text") else name


def _why_not(
    name: str, values: Counter[str], year: float | None, others: Sequence[float], *, for_ids: bool
) -> str | None:
    is_early_one = year is not None and is_early(year, others)
    if name in COLUMNS:
        early = BORN if is_early_one and name != "date" else None
        named = _NAMES if name in _IDS and ids_may_name(values, meant=True) else None
        return early or ours_identify(name, values) or named
    if name in _OURS or all(map(answers, values)):
        return None
    ours = plain(name) if plain(name) in _IDS else column_named(name)
    if for_ids and ours in _IDS:
        looks = ours_identify(ours, values) or _looks(values, clinical=False)
        return looks or (_NAMES if ids_may_name(values) else None)
    if ours == "attribution":
        return ours_identify(ours, values)
    clinical = ours in _CLINICAL and plain(name) not in word_lists_of_columns()["doubtful"]
    if looks := _looks(values, clinical=clinical):
        return looks
    return BORN if is_early_one else _PATIENT if ours == "patient_id" else _unsaid(name, values, for_ids)


def _unsaid(name: str, values: Counter[str], for_ids: bool) -> str | None:
    """What values may be that look like nobody's, where neither they nor the heading says that they name nobody."""
    words, parts = word_lists_of_columns(), heading_words(name)
    if words["born"] & {*parts}:
        return BORN
    if words["lodged"] & {*parts}:
        return _LODGED
    if _says_fact(name, parts, values):
        is_told = for_ids or _ours(name) in _TOLD or any(column_named(part) == "device" for part in parts)
        return _TEXT if any(map(_is_sentence, values)) or (not is_told and texts_may_name(values)) else None
    if len(parts) > 1 and words["number"] & {*parts}:
        return _NUMBERS
    if all(map(measures, values)) or (not words["person"] & {*parts} and are_known_words(values)):
        return None
    return _kind(values)


def _kind(values: Counter[str]) -> str:
    """What values are that do not say that they name nobody."""
    said = [value for value in islice(values, _LOOKED_AT) if not is_missing(value)]
    if all(year_of(value) is not None for value in said):
        return _DAYS
    if all(any(map(str.isdigit, value)) for value in said):
        return _NUMBERS
    return _TEXT if any(map(_is_sentence, said)) else _NAMES


def _says_fact(name: str, parts: Sequence[str], values: Counter[str]) -> bool:
    """Whether the whole heading says a fact, or is one of ours; if it may also say another thing, by its values."""
    if {plain(name), *parts} & word_lists_of_columns()["doubtful"]:
        return most(values, lambda value: len(value) > _INITIALS and is_known_word(value))
    return _ours(name) not in (None, "text", "case_id", "patient_id") or heading_says_fact(parts)


def _ours(name: str) -> str | None:
    return plain(name) if plain(name) in COLUMNS else column_named(name)


def _looks(values: Counter[str], *, clinical: bool) -> str | None:
    """What the first value that looks like a person's says of one.

    Args:
        values: of a column.
        clinical: whether its heading is one of diagnoses, places or devices, of which many are in no vocabulary and
            have capitals; there, most have to look like names without a title.
    """
    harmless = word_lists_of_columns()["said"] | word_lists_of_columns()["fact"]
    found = ((value, look(value, harmless, untitled=not clinical)) for value in values)
    sure = next((why for value, why in found if why is not None and not is_known_word(value)), None)
    if sure is not None or not clinical:
        return sure
    return NAME if most(values, lambda value: look(value, harmless) == NAME and not is_known_word(value)) else None


def _is_sentence(value: str) -> bool:
    return len(value.split()) > _MOST_WORDS and not is_known_word(value)


def _names_files(values: Counter[str], is_file: Callable[[str], bool] | None) -> bool:
    return most(values, lambda value: PICTURE.fullmatch(value) or (is_file is not None and is_file(value)))
