"""Which further columns of a table are kept: those of which something says that they name nobody.

A case base keeps what a table says of its cases, and shows it to everybody who searches. Headings that name patients,
relatives or staff are without number, so it is asked the other way round. A column that the project does not know is
kept if its heading says a fact of the lesion or of the picture (``column_facts.json``), or if all that it holds are
small numbers, answers and words of the vocabularies; and if no value looks like a person's name, number or address.
Every other one is left out, and named with the option that keeps it. A surname alone below a heading such as "Therapy",
and a person in a few words of a note there, are nobody's to find but the clinic's.
"""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from itertools import chain, islice
from pathlib import Path

from dermquery.data.case import CASE_FIELDS
from dermquery.data.case_rows import COLUMNS, CaseTable
from dermquery.data.case_table import read_cases
from dermquery.data.checklist import CRITERIA
from dermquery.data.merging import ALSO_IN
from dermquery.data.rows import Rows, read_rows
from dermquery.data.sources.column_names import column_named, plain
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
from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.data.vocabulary.sites import SITES
from dermquery.data.vocabulary.spelling import folded
from dermquery.data.vocabulary.words import is_missing, recorded_as, word_for

__all__ = ["columns_left_out", "left_out", "not_kept", "read_kept"]

_ANSWERS = frozenset(
    {"yes", "no", "y", "n", "true", "false", "ja", "nein", "j", "nee", "oui", "non", "o", "x", "si"}
    | {"none", "keine", "keiner", "kein", "geen", "aucun", "aucune", "positive", "negative", "positiv", "negativ"}
)
"""Answers to a question, which name nobody: "Partner: yes"."""
_UNIT = "%|°|mm|cm|µm|μm|um|[mc]?m[²2]|/ ?mm[²2]|kg|m?g|ml|nm|dpi|px|[kKmM]B|x|[JjhdsWy]|ms|Gy|Jahre?|years?|jaar|ans"
_NUMBER = r"\d{1,3}(?:[.,]\d+)?"
_MEASURE = re.compile(
    rf"[<>≤≥~≈±+-]{{0,2}} ?{_NUMBER}(?:[eE]-\d{{1,3}}|(?: ?[x×] ?{_NUMBER}){{1,2}}| ?[-–] ?\d{{1,2}})? ?(?:{_UNIT})?"
)
"""A number of at most three digits, which no postcode, no year and no number of a person is, or sizes."""
_LISTED = re.compile(r"\s*[,;/+|]\s*")
_LOOKED_AT = 1000
"""Different values by which what is not kept is named."""
_MOST_WORDS = 8
"""Words of a value from which it is a sentence."""
_INITIALS = 3
"""Letters of which the initials of the staff may be."""
_NUMBERS, _NAMES = "numbers that may be a person's", "words that may be names"
_CALLED = frozenset({"name", "naam", "nom"})
"""Words that may stand beside a fact, "Name der Kamera", and say none."""
_YEAR = frozenset({"year", "jahr", "jaar", "annee"})
_KNOWN_FIELDS = ("sex", "laterality", "confirmed_by", "image_type", "polarisation", "contact", "skin_type", "licence")
_IDS = ("case_id", "patient_id", "lesion_id", "study_uid", "series_uid", "instance_uid")
_CLINICAL = ("diagnosis", "fine_diagnosis", "diagnosis_path", "site", "device", "confirmed_by")
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
        is_file: whether a value names a picture. Such a column is kept, although names of files may say more than they
            should: the preparation calls its pictures by the case ids.
        for_ids: whether a column that is called so may become the id of the case, its lesion or its patient.
    """
    cells = [row for _, row in rows.numbered]
    counted = [
        Counter(filter(None, (row[place] for row in cells if place < len(row)))) for place in range(len(rows.header))
    ]
    years = [
        median_year(values, alone=not _YEAR.isdisjoint(_parts(name)))
        for name, values in zip(rows.header, counted, strict=True)
    ]
    found: dict[str, str] = {}
    for place, name in enumerate(rows.header):
        values = counted[place]
        if not name or name in on_purpose or not values:
            continue
        others = [year for other, year in enumerate(years) if year is not None and other != place]
        why = _why_not(name, values, years[place], others, for_ids=for_ids)
        if why is not None and not _names_files(values, is_file):  # in this order: looking for files takes longest
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
        return BORN if is_early_one and name != "date" else ours_identify(name, values)
    if name in _OURS or all(map(_answers, values)):
        return None
    ours = plain(name) if plain(name) in _IDS else column_named(name)
    if for_ids and ours in _IDS:
        looks = ours_identify(ours, values) or _looks(values, clinical=False)
        return looks or (_NAMES if any(map(_is_name_alone, values)) else None)
    clinical = ours in _CLINICAL and plain(name) not in _words()["doubtful"]
    if looks := _looks(values, clinical=clinical):
        return looks
    return BORN if is_early_one else "number of a patient" if ours == "patient_id" else _unsaid(name, values)


def _unsaid(name: str, values: Counter[str]) -> str | None:
    """What values may be that look like nobody's, where neither they nor the heading says that they name nobody."""
    words, parts = _words(), _parts(name)
    if words["born"] & {*parts}:
        return BORN
    if _says_fact(name, parts, values):
        return "free text" if any(map(_is_sentence, values)) else None
    if len(parts) > 1 and words["number"] & {*parts}:
        return _NUMBERS
    if all(map(_measures, values)) or (not words["person"] & {*parts} and _are_known_words(values)):
        return None
    return _kind(values)


def _kind(values: Counter[str]) -> str:
    """What values are that do not say that they name nobody."""
    said = [value for value in islice(values, _LOOKED_AT) if not is_missing(value)]
    if all(year_of(value) is not None for value in said):
        return "days or years, of what is not known"
    if all(any(map(str.isdigit, value)) for value in said):
        return _NUMBERS
    return "free text" if any(map(_is_sentence, said)) else _NAMES


# --- by the heading ------------------------------------------------------------------------------------------------


def _says_fact(name: str, parts: Sequence[str], values: Counter[str]) -> bool:
    """Whether the whole heading says a fact: "Therapie" does, "Therapie durch" does not."""
    words = _words()
    ours = plain(name) if plain(name) in COLUMNS else column_named(name)
    if {plain(name), *parts} & words["doubtful"]:
        return most(values, lambda value: len(value) > _INITIALS and _is_known_word(value))
    if ours not in (None, "text", "case_id", "patient_id"):
        return True
    if not parts or not all(map(_is_known_part, parts)):
        return False
    if words["number"] & {*parts} and parts[:2] not in (["number", "of"], ["no", "of"]):
        return bool(words["numbered"] & {*parts})
    return any(part not in words["beside"] | _CALLED for part in parts)


def _parts(name: str) -> list[str]:
    """The words of a heading, with the number or the name that a German or Dutch word ends in by itself."""
    spaced = re.sub(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])", " ", name)
    parts = [re.sub(r"(?<=[a-z])\d+$", "", part) for part in folded(spaced).split()]
    split = (re.sub(r"(?<=..)(nummer|number|nr|naam|name)$", r" \1", part).split() for part in parts)
    return list(chain.from_iterable(split))


@lru_cache(maxsize=4096)
def _is_known_part(part: str) -> bool:
    words = _words()
    known = words["fact"] | words["beside"] | words["number"] | words["numbered"] | _CALLED
    return part in known or part.isdigit() or _is_compound(part)


def _is_compound(part: str) -> bool:
    """Whether a word is made of two facts or more: Operationsdatum, excisiemarge."""
    fact = _words()["fact"]
    if part in fact or any(part.removesuffix(end) in fact for end in ("s", "en") if part.endswith(end)):
        return True
    heads = (part[:end] for end in range(3, len(part) - 2) if part[:end] in fact)
    return any(_is_compound(part[len(head) :].removeprefix(link)) for head in heads for link in ("", "s", "n", "en"))


@cache
def _words() -> Mapping[str, frozenset[str]]:
    listed = json.loads((Path(__file__).parent / "column_facts.json").read_text(encoding="utf-8"))
    return {kind: frozenset(names) for kind, names in listed.items()}


# --- by what it holds ----------------------------------------------------------------------------------------------


def _looks(values: Counter[str], *, clinical: bool) -> str | None:
    """What the first value that looks like a person's says of one.

    Args:
        values: of a column.
        clinical: whether its heading is one of diagnoses, places or devices, of which many are in no vocabulary and
            have capitals; there, most have to look like names without a title.
    """
    harmless = _words()["said"] | _words()["fact"]
    found = ((value, look(value, harmless, untitled=not clinical)) for value in values)
    sure = next((why for value, why in found if why is not None and not _is_known_word(value)), None)
    if sure is not None or not clinical:
        return sure
    return NAME if most(values, lambda value: look(value, harmless) == NAME and not _is_known_word(value)) else None


def _answers(value: str) -> bool:
    return folded(value) in _ANSWERS or is_missing(value)


def _measures(value: str) -> bool:
    return _MEASURE.fullmatch(value) is not None or _answers(value)


def _are_known_words(values: Counter[str]) -> bool:
    """Whether all are words of the vocabularies; where most have three letters, they may be somebody's initials."""
    if not all(_measures(value) or _is_known_word(value) for value in values):
        return False
    said = [value for value in values if not _measures(value)]
    short = [value for value in said if len(value) <= _INITIALS and word_for("sex", value) is None]
    return 2 * len(short) <= len(said)


@lru_cache(maxsize=8192)
def _is_known_word(value: str) -> bool:
    if any(value.lower() in criterion.values for criterion in CRITERIA.values()) or folded(value) in _words()["said"]:
        return True
    if SITES.read(value) is not None or DIAGNOSES.named(value) is not None:
        return True
    if any(word_for(field, value) is not None for field in _KNOWN_FIELDS) or _answers(value):
        return True
    listed = _LISTED.split(value)
    return len(listed) > 1 and all(part and _is_known_word(part) for part in listed)


def _is_sentence(value: str) -> bool:
    return len(value.split()) > _MOST_WORDS and not _is_known_word(value)


def _is_name_alone(value: str) -> bool:
    """A word with a capital and without a digit, below a heading of ids."""
    return bool(re.fullmatch(r"[^\W\d_a-zß-öø-ÿ][^\W\d_]*[a-zß-öø-ÿ][^\W\d_]*", value)) and not _is_known_word(value)


def _names_files(values: Counter[str], is_file: Callable[[str], bool] | None) -> bool:
    return most(values, lambda value: PICTURE.fullmatch(value) or (is_file is not None and is_file(value)))
