"""Ages, days and lengths as tables and archives write them, in English, German, Dutch and French.

What can be read in two ways is not read: the message says what to write.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Literal, get_args

from dermquery.data.vocabulary.spelling import folded

__all__ = [
    "ORDERS",
    "TWO_DIGITS",
    "DayOrder",
    "check_taken",
    "day_of",
    "has_short_year",
    "millimetres",
    "number_of",
    "order_of",
    "years",
]

DayOrder = Literal["ymd", "dmy", "mdy"]
"""The order of year, month and day."""
ORDERS: tuple[str, ...] = get_args(DayOrder)
TWO_DIGITS = "years of two digits were read as 1970 to 2069"
_UNITS = {
    1.0: "y yr yrs yo year years j jr jrs jahr jahre jahren jaar jaren a an ans annee annees jaehrig jaehrige "
    "jaehriger jarig jarige old oud alt",
    12.0: "m mo mos month months mon monat monate monaten mt mte maand maanden mnd mnden mois",
    52.1775: "w wk wks wkn wo week weeks woche wochen weken sem semaine semaines",
    365.2425: "d day days t tg tag tage tagen dag dagen jour jours",
}
_PER_YEAR = {unit: count for count, units in _UNITS.items() for unit in units.split()}
_AMOUNT = re.compile(r"(?P<number>\d+(?:[.,]\d+)?)[\s-]*(?P<unit>[^\W\d_]*(?:[/-][^\W\d_]+)?)\.?")
_PARTS = re.compile(rf"{_AMOUNT.pattern}(?:\s*(?:,|und|en|et|and)?\s*{_AMOUNT.pattern.replace('?P<', '?P<second_')})?")
_AT_LEAST = re.compile(
    r"(?:>\s*=?|≥|⩾|über|ueber|mindestens|ab|ouder dan|boven|minstens|plus de|au moins|over|at least)\s*(.+)",
    re.IGNORECASE,
)
_AND_MORE = re.compile(
    r"(\d+)\s*([^\W\d_.]*)\.?\s*(?:\+|and over|and older|und älter|en ouder|et plus|plus)\s*(\w*)\.?"
)
_OLD = re.compile(r"(.*\w\.?)[\s-]+(?:old|oud|alt|of age|d'âge)")
_DAYS_OR_YEARS = 31
"""A small number of "j" is years in German and Dutch, and days in French."""
_SEXES_TOO = frozenset("mwd")
"""Units only as DICOM has them ("018M"): "65 w" and "65/m" are the ages of a woman and a man."""
_DAY = re.compile(r"(\d{1,4})([./-])\s?(\d{1,2})\2\s?(\d{1,4})\.?(?:,?[T ]+\d{1,2}[:.h].*)?", re.DOTALL)
_FIRST_SHORT = 70
_MONTHS = (
    "january jan januar jaenner jaen januari janvier janv",
    "february feb februar feber februari febr fevrier fevr fev",
    "march mar maerz maer mrz maart mrt mars",
    "april apr avril avr",
    "may mai mei",
    "june jun juni juin",
    "july jul juli juillet juil",
    "august aug augustus aout",
    "september sep sept septembre",
    "october oct oktober okt octobre",
    "november nov novembre",
    "december dec dezember dez decembre",
)
_MONTH = {name: number for number, names in enumerate(_MONTHS, start=1) for name in names.split()}
_WORDED = re.compile(
    r"(?:[^\W\d_]{2,10}\.?,?\s+)??(?:(?P<first>\d{1,2})(?:\.|er|e|ste|st|nd|rd|th)?[\s/-]*)?(?P<month>[^\W\d_]{3,})\.?"
    r"(?:\s+(?P<second>\d{1,2})(?:st|nd|rd|th)?(?=[\s,]))?[\s,/-]*(?P<year>\d{4}|'?\d{2})\.?"
)
_NO_DAY_YET = datetime.date(1900, 1, 1)
"""Spreadsheets and databases write it, or one of the days before, for none."""
_NO_DAY = re.compile(r"\d{4}|\d{1,2}[./-]\d{4}|\d{4}[./-]\d{1,2}")


def years(written: str) -> float:
    """An age in years: ``65``, ``65,5``, ``85+``, ``> 90``, ``045Y``, ``018M``, ``10 weeks``, ``65 ans``, ``3 mnd``.

    Of "at least" the number counts.

    Raises:
        ValueError: for anything else, for an estimate, and for what may be two things ("12 j", "65 m").
    """
    text = written.strip()
    if match := _AT_LEAST.fullmatch(text):
        text = match[1]
    if match := _AND_MORE.fullmatch(text.casefold()):
        text = f"{match[1]} {match[2] or match[3]}"
    if match := _OLD.fullmatch(text):
        text = match[1]
    match = _PARTS.fullmatch(text)
    if match is None:
        return float(text)
    whole = _in_years(match["number"], match["unit"])
    if match["second_number"] is None:
        return whole
    if not match["unit"] or not match["second_unit"]:
        raise ValueError(f"{written!r} has two numbers; write one")
    return round(whole + _in_years(match["second_number"], match["second_unit"]), 3)


def _in_years(number: str, unit: str) -> float:
    plain = folded(unit).replace(" ", "")
    if plain and plain not in _PER_YEAR:
        raise ValueError(f"{unit!r} is no unit of an age")
    value, per_year = float(number.replace(",", ".")), _PER_YEAR.get(plain, 1.0)
    if (unit == "j" and value <= _DAYS_OR_YEARS) or (plain in _SEXES_TOO and not (len(number) == 3 and unit.isupper())):
        raise ValueError(f"'{number} {unit}' may say two things")
    return value if per_year == 1.0 else round(value / per_year, 3)


def number_of(name: str, written: str) -> float:
    """The number that is written for a field: with a decimal point or comma, of an age and a length also with its unit.

    Raises:
        ValueError: it is none.
    """
    if name == "age":
        return years(written)
    if name.endswith("_mm"):
        return millimetres(written)
    return float(written.replace(",", ".") if written.count(",") == 1 else written)


def millimetres(written: str) -> float:
    """A length: ``0.7``, ``0,7``, ``0,7 mm``, ``1.2 cm``.

    Raises:
        ValueError: for anything else.
    """
    match = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*(mm|cm)?\.?", written.strip().casefold())
    if match is None:
        return float(written)
    number = float(match[1].replace(",", "."))
    return round(number * 10, 6) if match[2] == "cm" else number


def order_of(written: Iterable[str]) -> DayOrder | None:
    """The order of the days of a column, where one settles it: years in front, or a number beyond 12.

    Nothing settles a column with a day such as 21-06-15, whose year may stand first: it may come from another program.

    Raises:
        ValueError: one day settles it otherwise than another; the message names both.
    """
    found: dict[DayOrder, str] = {}
    days = list(written)
    if any(re.fullmatch(r"\d\d-\d\d-\d\d", day.strip()) for day in days):
        return None
    for day in days:
        if (order := _order(day)) is not None:
            found.setdefault(order, day)
    orders = [order for order in ("dmy", "mdy") if order in found]
    if len(orders) == 2:
        raise ValueError(f"{found['dmy']!r} has the day first and {found['mdy']!r} the month; write all in one order")
    return orders[0] if orders else "ymd" if "ymd" in found else None


def has_short_year(written: str) -> bool:
    """Whether a day is written with two digits of its year, which is read as one of 1970 to 2069."""
    match = _DAY.fullmatch(written.strip())
    if match is not None:
        return len(match[1]) < 4 and len(match[4]) == 2
    worded = _WORDED.fullmatch(written.strip().casefold())
    return worded is not None and len(worded["year"].strip("'")) == 2


def day_of(written: str, order: DayOrder | None) -> datetime.date:
    """A day in ISO 8601, also with a time behind it, with its month as a word, or in the order of its column.

    Days with dots have the day first, for no country writes the month first with dots. A year of two digits is one of
    1970 to 2069.

    Raises:
        ValueError: it is no day, or its order is not known; the message says what to do.
    """
    try:
        return datetime.datetime.fromisoformat(written).date()
    except ValueError:
        pass
    text = written.strip()
    match = _DAY.fullmatch(text)
    if match is None:
        return _worded(written, text)
    one, dots, two, three = match.groups()
    chosen = _order(text) or ("dmy" if dots == "." else order)
    if chosen == "ymd" and len(one) < 4 and order != "ymd":
        chosen = None
    if chosen is None:
        raise ValueError(f"{written!r} may have the day or the month first; say which with --date-order dmy or mdy")
    parts = dict(zip(chosen, (one, two, three), strict=True))
    return _day(written, parts["y"], int(parts["m"]), int(parts["d"]), f"in the order {chosen}")


def check_taken(written: str, day: datetime.date) -> None:
    """Refuse a day on which no image can have been taken.

    Raises:
        ValueError: it lies in the future, beyond any zone's tomorrow, or is where tables begin to count, or before.
    """
    if day > datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=1):
        raise ValueError(f"{written!r} lies in the future")
    if day <= _NO_DAY_YET:
        raise ValueError(f"{written!r} stands for none")


def _worded(written: str, text: str) -> datetime.date:
    """A day whose month is a word: ``15. Juni 2021``, ``1er juin 2021``, ``June 15, 2021``."""
    match = _WORDED.fullmatch(text.casefold())
    month = None if match is None else _MONTH.get(folded(match["month"]))
    if (match is not None and month and not (match["first"] or match["second"])) or _NO_DAY.fullmatch(text):
        raise ValueError(f"{written!r} names no day; write one such as 2024-03-31")
    if match is None or month is None or (match["first"] and match["second"]):
        raise ValueError(f"{written!r} is not a day written as 2024-03-31")
    return _day(written, match["year"].strip("'"), month, int(match["first"] or match["second"]), "")


def _day(written: str, year: str, month: int, day: int, how: str) -> datetime.date:
    if len(year) not in (2, 4):
        raise ValueError(f"{written!r} has no year of two or four digits")
    number = int(year)
    if len(year) == 2:
        number += 1900 if number >= _FIRST_SHORT else 2000
        if number > datetime.datetime.now(datetime.UTC).year:
            raise ValueError(f"{written!r} may be of {number - 100} or {number}; write its year with four digits")
    try:
        return datetime.date(number, month, day)
    except ValueError as error:
        raise ValueError(f"{written!r} is no day of the calendar {how}".strip()) from error


def _order(written: str) -> DayOrder | None:
    """What a day says of its own order. With dashes and two digits for the year it says nothing: 21-06-15."""
    match = _DAY.fullmatch(written.strip())
    if match is None:
        return None
    if len(match[1]) == 4:
        return "ymd"
    if len(match[1]) > 2 or (len(match[4]) == 2 and match[2] == "-"):
        return None
    first, second = int(match[1]), int(match[3])
    return "dmy" if first > 12 >= second else "mdy" if second > 12 >= first else None
