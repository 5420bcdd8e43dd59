"""Columns that identify a person: a name, a date or year of birth, an address, a telephone or an insurance number.

The person may be the patient, a relative or one of the staff.

A case base keeps what a table says of its cases, and shows it to everybody who searches. Such columns are therefore
left out unless somebody names them on purpose. They are known by their headings, in the languages that clinics write,
and by what they hold where few other things look like it. A clinic's own number of a patient is none of them, for it
keeps the cases of one patient together; headings of one's own, and what free text says, are nobody's to find but the
clinic's.
"""

from __future__ import annotations

import datetime
import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from statistics import median

from dermquery.data.case import Case
from dermquery.data.rows import Rows
from dermquery.data.vocabulary.ages_days import day_of
from dermquery.data.vocabulary.spelling import folded, rows_of, word_lists
from dermquery.data.vocabulary.words import is_missing

__all__ = ["PICTURE", "identifying_columns", "kept", "left_out"]

_PERSON, _BORN = "name of a person", "date of birth"
_PERHAPS, _IF_WRITTEN_SO = "perhaps a name", "names if written so"
_NO_KINDS = ("of", "beside", "no person", "anywhere", _PERHAPS, _IF_WRITTEN_SO)
_LOOKED_AT = 2000
"""Different values of a column that are looked at."""
_FEWEST_NAMES = 3
"""Different values from which a column is taken for one of names by how they are written."""
_YEARS_BEFORE = 15
"""Days that lie so many years before those of another column are no days of photographs."""
_FIRST_DERMOSCOPE_YEAR = 1988
"""Dates that lie before the first digital dermoscopes are no days of photographs either."""

PICTURE = re.compile(r".*\.(jpe?g|png|tiff?|bmp|webp|gif|heic|jp2|dcm)", re.IGNORECASE)
"""What names a file of a picture."""
_MAIL = re.compile(r"(?:mailto:)?[^\s@,;]+@[^\s@,;]+\.[^\W\d_]{2,}", re.IGNORECASE)
_PHONE = re.compile(r"(?:tel\.?:?\s*)?(?:\+|00|\(?0)[\d\s()/-]*[\d)][\d\s()/.-]*", re.IGNORECASE)
_REGISTERED = re.compile(r"\d{3}-\d{2}-\d{4}|756[. ]\d{4}[. ]\d{4}[. ]\d{2}")
"""Social security numbers of the United States and of Switzerland, which nothing else is written like."""
_NAME = re.compile(r"[^\W\d_a-zß-öø-ÿ](?:[^\W\d_]+(?:['’-][^\W\d_]+)*|\.)")
"""A word with a capital, or an initial with its point."""
_TITLE = re.compile(r"(?:PD |Prof\.? ?|Dres\.? |Dr\.? ?|Herrn? |Frau |Mme |Mr\.? |Mrs\.? |Ms\.? ).*")
_PICTURES_NUMBER = re.compile(
    r"(?:[A-Z]{0,5}|[a-z]?|(?i:ima?ge?|photo|foto|bild|pict?|picture|scan|derm[a-z]*|case|fall|lesion))[\s_.-]*\d[\w.-]*"
)
"""What cameras and people call pictures without their ending: IMG_0012, Bild 3."""
_SAID = frozenset(
    {"yes", "no", "y", "n", "true", "false", "ja", "nein", "j", "nee", "oui", "non", "o", "x", "si"}
    | {"none", "keine", "keiner", "kein", "geen", "aucun", "aucune", "positive", "negative", "positiv", "negativ"}
)
"""Answers to a question, which name nobody: "Partner: yes"."""
_BESIDE_NAMES = frozenset(
    {"dr", "med", "pd", "prof", "frau", "herr", "mr", "mrs", "ms", "mme", "mevr", "dhr"}
    | {"von", "van", "de", "den", "der", "ten", "ter", "zu", "du", "di", "da", "la", "le", "el", "al"}
)
_OF_CASES = frozenset(
    {"patient", "patienten", "patientin", "pat", "paciente", "paziente", "case", "fall", "cas", "caso"}
    | {"in", "e", "id", "nr", "no", "number", "nummer"}
)
"""Words in headings of what is called by a number, and not by what is the matter with it."""


def identifying_columns(
    rows: Rows, *, on_purpose: Collection[str] = (), is_file: Callable[[str], bool] | None = None
) -> dict[str, str]:
    """The columns of a table that identify a person, by their heading, each with what it holds ("date of birth").

    Args:
        rows: the table.
        on_purpose: headings that are kept, whatever they hold.
        is_file: whether a value names a picture. Such a column is none of them, although names of files may say more
            than they should: the preparation calls its pictures by the case ids.
    """
    cells = [row for _, row in rows.numbered]
    counted = [_first_values(row[place] for row in cells if place < len(row)) for place in range(len(rows.header))]
    years = [_median_year(values) for values in counted]
    found: dict[str, str] = {}
    for place, name in enumerate(rows.header):
        values = counted[place]
        if not name or name in on_purpose or not values:
            continue
        others = [year for other, year in enumerate(years) if year is not None and other != place]
        what = _by_heading(name, values) or _by_content(name, values, years[place], others)
        if what is not None and not _names_files(values, is_file):  # in this order: looking for files takes longest
            found.setdefault(name, what)
    return found


def _first_values(cells: Iterable[str]) -> Counter[str]:
    """The first different values of a column that are filled, with their counts."""
    values = Counter(filter(None, cells))
    return Counter(dict(islice(values.items(), _LOOKED_AT)))


def kept(cases: Sequence[Case]) -> str:
    """For a table that was not prepared: what its further columns, which are kept beside the cases, say of persons."""
    names = tuple(dict.fromkeys(name for case in cases for name in case.extra))
    cells = [(number, [case.extra.get(name, "") for name in names]) for number, case in enumerate(cases)]
    found = identifying_columns(Rows("case", names, cells))
    if not found:
        return ""
    named = ", ".join(f"{name!r} ({what})" for name, what in found.items())
    return f"kept beside the cases and shown to all who search, though they identify persons: {named}"


def left_out(found: Mapping[str, str]) -> str:
    """What was found, for people, and how a column is kept all the same."""
    named = ", ".join(f"{name!r} ({what})" for name, what in found.items())
    first = shlex.quote(f"{next(iter(found))}={next(iter(found))}")
    return f"left out, as they identify persons: {named}; one that does not is kept by --column {first}"


# --- by the heading ------------------------------------------------------------------------------------------------


def _by_heading(name: str, values: Counter[str]) -> str | None:
    words = _words()
    parts = folded(re.sub(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])", " ", name)).split()
    whole = ["".join(parts), folded(name).replace(" ", "")]
    for owner in words["of"]:  # patientname, patientennachname
        whole += [each.removeprefix(owner) for each in whole[:2] if len(owner) > 2 and each != owner]
    own = [part for part in parts if part not in words["of"]]
    if words["no person"] & {*parts} or all(map(_answers, values)):  # all: most may lack a telephone
        return None
    bare = [part for part in own if part not in words["beside"]]
    called = [part for part in bare if part not in words[_PERHAPS]]  # "Name des Hausarztes"
    people = [part for part in parts if part not in words["beside"]]  # "Behandelnder Arzt"
    forms = {*whole, *("".join(each) for each in (own, bare, called, people)), *(words["anywhere"] & {*parts})} - {""}
    forms |= {re.sub(r"(?<=...)(?:nummer|number|nr|name|in|s)$", "", form) for form in forms}
    for kind, known in words.items():
        if kind not in _NO_KINDS and (forms & known or (own and known.issuperset(own))):
            return None if kind == _PERSON and all(map(_is_code, values)) else kind
    if forms & words[_IF_WRITTEN_SO] and _are_written_as_names(values):
        return _PERSON
    if not forms & words[_PERHAPS]:
        return None
    of_somebody = len(own) < len(parts) or not set(whole[:2]) & words[_PERHAPS]
    return _PERSON if of_somebody or not _most(values, _PICTURES_NUMBER.fullmatch) else None


def _answers(value: str) -> bool:
    return folded(value) in _SAID or is_missing(value)


def _is_code(value: str) -> bool:
    """A digit or two, for whom only the clinic knows, or an answer."""
    return bool(re.fullmatch(r"\d{1,2}", value)) or _answers(value)


@cache
def _words() -> Mapping[str, frozenset[str]]:
    listed = json.loads((Path(__file__).parent / "identifying_columns.json").read_text(encoding="utf-8"))
    return {kind: frozenset(names) for kind, names in listed.items()}


# --- by what it holds ----------------------------------------------------------------------------------------------


def _by_content(name: str, values: Counter[str], year: float | None, others: Sequence[float]) -> str | None:
    """What the values are, where few other things look like it."""
    if _most(values, _MAIL.fullmatch):
        return "e-mail address"
    if _most(values, _REGISTERED.fullmatch):
        return "number of an insurance or a register"
    if _most(values, _is_phone):
        return "telephone number"
    if year is not None:
        too_early = name != "date" and year < _FIRST_DERMOSCOPE_YEAR
        if too_early or any(year < other - _YEARS_BEFORE for other in others):
            return _BORN
    of_cases = {*folded(name).split()} <= _OF_CASES
    return _PERSON if (of_cases and _names_persons(values)) or _lists_persons(values) else None


def _is_phone(value: str) -> bool:
    """With ``+`` in front, or with 0 and something between its digits that is no year, as in "0012/2021"."""
    digits = sum(map(str.isdigit, value))
    if not _PHONE.fullmatch(value) or digits > 15 or value.count(".") == 1 or _day(value) is not None:
        return False
    if value.startswith("+"):
        return digits >= 8
    return digits >= 9 and bool(re.search(r"[\s()/-]", value)) and not re.search(r"\b(?:19|20)\d\d\b", value)


def _names_persons(values: Counter[str]) -> bool:
    """Whether most are a surname with a first name; "Patient Eins", "Patient Zwei" are not."""
    words = {value: [word for word in re.split(r"[\s,^]+", value) if word] for value in values}
    names = {
        value: [word for word in own if word.rstrip(".").casefold() not in _BESIDE_NAMES]
        for value, own in words.items()
    }
    first = {own[0] for own in names.values() if own}
    one_for_all = len(first) == 1 < len(values)
    return not one_for_all and _most(
        values, lambda value: len(names[value]) > 1 and all(map(_NAME.fullmatch, names[value]))
    )


def _are_written_as_names(values: Counter[str]) -> bool:
    """Whether most are words with capitals, of which few say a diagnosis or a place, and that differ."""
    written = _most(values, lambda value: _TITLE.fullmatch(value) or _is_part_of_a_name(value))
    return written and len(values) >= _FEWEST_NAMES and 3 * len(values) >= values.total() and not _says_findings(values)


def _lists_persons(values: Counter[str]) -> bool:
    """Whether four in five are "Surname, First name" and differ; "Back, Left" and "Nevus, Dermal" are not."""
    pairs = [tuple(part.strip() for part in value.split(",")) for value in values if value.count(",") == 1]
    pairs = [pair for pair in pairs if all(_is_part_of_a_name(part) for part in pair)]
    if len(values) < _FEWEST_NAMES or 5 * len(pairs) < 4 * len(values) or 2 * len(values) < values.total():
        return False
    surnames, first_names = (Counter(part) for part in zip(*pairs, strict=True))
    differ = 2 * len(surnames) > len(pairs) and 2 * max(first_names.values()) <= len(pairs)
    return differ and 4 * len({*surnames} & {*first_names}) <= len(pairs) and not _says_findings(values)


def _is_part_of_a_name(part: str) -> bool:
    words = [word for word in part.split() if word.rstrip(".").casefold() not in _BESIDE_NAMES]
    return 1 <= len(words) <= 3 and all(map(_NAME.fullmatch, words))


def _says_findings(values: Counter[str]) -> bool:
    """Whether a third has a word of a place or a diagnosis; some people are called Hals or Rose."""
    known = _words_of_findings()
    return 3 * sum(not known.isdisjoint(folded(value).split()) for value in values) > len(values)


@cache
def _words_of_findings() -> frozenset[str]:
    cells = [row[name] or "" for row in rows_of("diagnosis_words.csv") for name in ("word", "path")]
    cells += [row["word"] for row in rows_of("sites.csv")]
    cells += [cell or "" for row in rows_of("site_words.csv") for cell in row.values()]
    lists = word_lists()
    cells += [json.dumps(lists[field], ensure_ascii=False) for field in ("laterality", "where within a place", "sex")]
    return frozenset(word for cell in cells for word in folded(cell).split() if len(word) > 2) - _BESIDE_NAMES


def _median_year(values: Counter[str]) -> float | None:
    """The year in the middle, of a column that holds days."""
    years = [day.year for value in values if (day := _day(value)) is not None]
    return median(years) if years and 2 * len(years) >= len(values) else None


def _day(value: str) -> datetime.date | None:
    try:
        return day_of(value, "dmy")
    except ValueError:
        return None


def _names_files(values: Counter[str], is_file: Callable[[str], bool] | None) -> bool:
    return _most(values, lambda value: PICTURE.fullmatch(value) or (is_file is not None and is_file(value)))


def _most(values: Counter[str], holds: Callable[[str], object]) -> bool:
    """Whether at least half of the filled cells are so."""
    return 2 * sum(count for value, count in values.items() if holds(value)) >= values.total()
