"""Values that identify a person by how they are written: a name, a telephone number, an address, a day of birth.

Few other things look like them, so one is enough to leave out a column of somebody's own
(:mod:`dermquery.data.sources.keeping`). Nothing else about a person can be told by its spelling: a surname alone, a
login or a number of a register looks like any word or number.
"""

from __future__ import annotations

import datetime
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import cache
from itertools import islice
from statistics import median

from dermquery.data.case import CASE_FIELDS, Kind
from dermquery.data.vocabulary.ages_days import day_of
from dermquery.data.vocabulary.spelling import folded, rows_of, word_lists

__all__ = [
    "BORN",
    "LOOKS",
    "NAME",
    "PICTURE",
    "is_early",
    "look",
    "median_year",
    "most",
    "ours_identify",
    "words_of_findings",
    "year_of",
]

NAME, BORN = "name of a person", "date of birth"
_MAIL_ADDRESS, _NUMBER, _TELEPHONE = "e-mail address", "number of an insurance or a register", "telephone number"
_ACCOUNT, _ADDRESS = "account of a person", "address"
LOOKS = frozenset({NAME, BORN, _MAIL_ADDRESS, _NUMBER, _TELEPHONE, _ACCOUNT, _ADDRESS})
"""What values may be found to be."""
_LOOKED_AT = 2000
"""Different values that are looked at where most of a column decide."""
_LOOKED_INTO = 300
"""Characters of a value that are looked at; what is longer is text, which is not kept."""
_YEARS_BEFORE = 15
"""Days that lie so many years before those of another column are no days of photographs."""
_FIRST_DERMOSCOPE_YEAR = 1988
"""Dates that lie before the first digital dermoscopes are no days of photographs either."""

PICTURE = re.compile(r".*\.(jpe?g|png|tiff?|bmp|webp|gif|heic|jp2|dcm)", re.IGNORECASE)
"""What names a file of a picture."""
_MAIL = re.compile(r"[^\s@,;]+@[^\s@,;]+\.[^\W\d_]{2,}", re.IGNORECASE)
_SEVERAL = re.compile(r"[^\w.]|\.\d+\.")
"""What stands between the words or the groups of digits of all that is found; most values have none of it."""
_LOGIN = re.compile(r"@\w{3,}|\w+\\[\w.]+")
_LABEL = re.compile(r"(?:tel(?:efon|efoon|ephone|\.)?|phone|mobile?|handy|cell|fax|gsm|t)\b[.:]?\s*", re.IGNORECASE)
_PHONE = re.compile(r"(?:\+|00|\(?0)[\d\s()/-]*[\d)][\d\s()/.-]*")
_AMERICAN = re.compile(r"(?:1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?: ?x\d+)?")
_REGISTERED = re.compile(r"\b(?:\d{3}-\d{2}-\d{4}|756[. ]\d{4}[. ]\d{4}[. ]\d{2})\b")
"""Social security numbers of the United States and of Switzerland, which nothing else is written like."""
_TOWN = re.compile(
    r"\b(?:[A-Z]{1,2}-)?(?!(?:19|20)\d\d\b)\d{4,5}(?: ?[A-Z]{2})?[ ,]+(?P<town>[^\W\d_a-zß-öø-ÿ][^\W\d_]{2,})"
)
_BRITISH = re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b")
_STREET = re.compile(
    r"(?:str(?:\.|a(?:ß|ss)e)|gasse|allee|platz|weg|straat|laan|plein|gracht|kade)\s+\d+"
    r"|\b(?:rue|avenue|boulevard|chemin|impasse|quai|street|st|road|rd|ave|lane|drive|square)\b",
    re.IGNORECASE,
)
"""What a street is called, which is an address where a number stands in the value too."""
_NAME = re.compile(r"[^\W\d_a-zß-öø-ÿ](?:[^\W\d_]+(?:['’-][^\W\d_]+)*|['’][^\W\d_]+|\.)")
"""A word with a capital, or an initial with its point."""
_TITLE = re.compile(
    r"\b(?:Prof|Dres|[Dd]r|Herrn?|Frau|Fr|Mme|Mlle|Mr|Mrs|Ms|Mevr|Mw|Dhr|Sig|Sra?)\b\.?(?: med\.?)* +"
    r"[^\W\d_a-zß-öø-ÿ][^\W\d_]*|^(?:Dr|Prof)\b|, ?(?:MD|M\.D\.|PhD|RN)\b"
)
_BESIDE_NAMES = frozenset(
    {"dr", "med", "pd", "prof", "frau", "herr", "mr", "mrs", "ms", "mme", "mevr", "dhr"}
    | {"von", "van", "de", "den", "der", "ten", "ter", "zu", "du", "di", "da", "la", "le", "el", "al"}
)


def look(value: str, harmless: Collection[str] = (), *, untitled: bool = True) -> str | None:
    """What a value says of a person, where few other things look like it; None if it does not.

    Args:
        value: of a cell.
        harmless: folded words that are in no name: colours, makers of cameras.
        untitled: whether words with capitals are a name, as "Sarah Lee" is, and "Pyoderma Gangraenosum" is not.
    """
    value = value[:_LOOKED_INTO]
    if not _SEVERAL.search(value):
        return None
    if _MAIL.search(value):
        return _MAIL_ADDRESS
    if _REGISTERED.search(value):
        return _NUMBER
    if _is_phone(_LABEL.sub("", value, count=1)):
        return _TELEPHONE
    if _LOGIN.fullmatch(value):
        return _ACCOUNT
    town = _TOWN.search(value)
    if (town and _unknown(town["town"], harmless)) or _BRITISH.search(value) or _is_street(value):
        return _ADDRESS
    return NAME if _TITLE.search(value) or (untitled and _is_full_name(value, harmless)) else None


def ours_identify(name: str, values: Counter[str]) -> str | None:
    """What most values of a column that is called as one of ours are, if they identify persons.

    Whoever calls a column so means it; an attribution names somebody on purpose.
    """
    some = Counter(dict(islice(values.items(), _LOOKED_AT)))
    found = {value: look(value) for value in some}
    for kind in (_MAIL_ADDRESS, _NUMBER, _TELEPHONE):
        if most(some, lambda value, kind=kind: found[value] == kind):  # type: ignore[misc]
            return kind
    is_id = name == "case_id" or (name in CASE_FIELDS and CASE_FIELDS[name].kind is Kind.ID)
    first = {value.split()[0] for value in some if value.split()}
    one_for_all = len(first) == 1 < len(some)  # "Patient Eins", "Patient Zwei"
    return NAME if is_id and not one_for_all and most(some, lambda value: found[value] == NAME) else None


def _is_phone(value: str) -> bool:
    """With ``+`` in front, or with 0 and something between its digits that is no year, as in "0012/2021"."""
    digits = sum(map(str.isdigit, value))
    if _AMERICAN.fullmatch(value):
        return True
    if not _PHONE.fullmatch(value) or digits > 15 or value.count(".") == 1 or _day(value) is not None:
        return False
    if value.startswith("+"):
        return digits >= 8
    return digits >= 9 and bool(re.search(r"[\s()/-]", value)) and not re.search(r"\b(?:19|20)\d\d\b", value)


def _is_street(value: str) -> bool:
    return any(map(str.isdigit, value)) and _STREET.search(value) is not None


def _is_full_name(value: str, harmless: Collection[str]) -> bool:
    """Whether it is a surname with a first name or an initial, and no word of it says a finding."""
    words = [word for word in re.split(r"[\s,^]+", value) if word]
    own = [word for word in words if word.rstrip(".").casefold() not in _BESIDE_NAMES]
    if not 2 <= len(own) <= 4 or len(words) > 6 or not all(map(_NAME.fullmatch, own)):
        return False
    return any(len(word) > 2 for word in own) and all(_unknown(word, harmless) for word in own)


def _unknown(word: str, harmless: Collection[str]) -> bool:
    return {*folded(word).split()}.isdisjoint(harmless) and {*folded(word).split()}.isdisjoint(words_of_findings())


@cache
def words_of_findings() -> frozenset[str]:
    """Folded words of places and diagnoses, which some people are called: Hals, Rose."""
    cells = [row[name] or "" for row in rows_of("diagnosis_words.csv") for name in ("word", "path")]
    cells += [row["word"] for row in rows_of("sites.csv")]
    cells += [cell or "" for row in rows_of("site_words.csv") for cell in row.values()]
    lists = word_lists()
    cells += [json.dumps(lists[field], ensure_ascii=False) for field in ("laterality", "where within a place", "sex")]
    return frozenset(word for cell in cells for word in folded(cell).split() if len(word) > 2) - _BESIDE_NAMES


# --- days ----------------------------------------------------------------------------------------------------------


def median_year(values: Counter[str], *, alone: bool) -> float | None:
    """The year in the middle, of a column that holds days, or years ``alone``, which sizes in pixels look like."""
    some = list(islice(values, _LOOKED_AT))
    years = [year for value in some if (year := year_of(value)) is not None and (alone or not value.isdigit())]
    return median(years) if years and 2 * len(years) >= len(some) else None


def is_early(year: float, others: Sequence[float]) -> bool:
    """Whether days are none of photographs: before there were any, or long before those of other columns."""
    return year < _FIRST_DERMOSCOPE_YEAR or any(year < other - _YEARS_BEFORE for other in others)


def year_of(value: str) -> int | None:
    """The year of a day, or a year alone."""
    if re.fullmatch(r"(?:19|20)\d\d", value):
        return int(value)
    return found.year if (found := _day(value)) is not None else None


def _day(value: str) -> datetime.date | None:
    """The day that a value says, if it says one."""
    try:
        return day_of(value, "dmy")
    except ValueError:
        return None


def most(values: Counter[str], holds: Callable[[str], object]) -> bool:
    """Whether at least half of the filled cells are so."""
    return 2 * sum(count for value, count in values.items() if holds(value)) >= values.total()
