"""Ages and days as tables and archives write them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Literal, get_args

__all__ = ["ORDERS", "DayOrder", "day_of", "order_of", "years"]

DayOrder = Literal["ymd", "dmy", "mdy"]
"""The order of year, month and day."""
ORDERS: tuple[str, ...] = get_args(DayOrder)
_UNITS = {
    1.0: ("y", "yr", "yrs", "year", "years", "j", "jahr", "jahre", "jaar", "a"),
    12.0: ("m", "mo", "month", "months", "mon", "monat", "monate", "maand", "maanden"),
    52.1775: ("w", "wk", "week", "weeks", "woche", "wochen", "weken"),
    365.2425: ("d", "day", "days", "t", "tag", "tage", "dag", "dagen"),
}
_PER_YEAR = {unit: count for count, units in _UNITS.items() for unit in units}
_AGE = re.compile(r"(?P<number>\d+(?:[.,]\d+)?)\s*(?P<more>\+|and over|und älter|en ouder)?\s*(?P<unit>[a-z]*)\.?")
_DAY = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?:[T ].*)?", re.DOTALL)


def years(written: str) -> float:
    """An age in years: ``65``, ``65,5``, ``85+``, ``045Y``, ``018M``, ``10 weeks``, ``3 Jahre``.

    Raises:
        ValueError: for anything else.
    """
    match = _AGE.fullmatch(written.strip().casefold())
    if match is None or (match["unit"] and match["unit"] not in _PER_YEAR):
        return float(written)
    number, units = float(match["number"].replace(",", ".")), _PER_YEAR.get(match["unit"], 1.0)
    return number if units == 1.0 else round(number / units, 3)


def order_of(written: Iterable[str]) -> DayOrder | None:
    """The order of the days of a column, where one settles it: years in front, or a number beyond 12.

    Raises:
        ValueError: one day settles it otherwise than another; the message names both.
    """
    found: dict[DayOrder, str] = {}
    for day in written:
        if (order := _order(day)) is not None:
            found.setdefault(order, day)
    orders = [order for order in ("dmy", "mdy") if order in found]
    if len(orders) == 2:
        raise ValueError(f"{found['dmy']!r} has the day first and {found['mdy']!r} the month; write all in one order")
    return orders[0] if orders else "ymd" if "ymd" in found else None


def day_of(written: str, order: DayOrder | None) -> datetime.date:
    """A day in ISO 8601, also with a time behind it, or in the order of its column with ``.``, ``/`` or ``-``.

    Days with dots have the day first, for no country writes the month first with dots.

    Raises:
        ValueError: it is no day, or its order is not known; the message says what to do.
    """
    try:
        return datetime.datetime.fromisoformat(written).date()
    except ValueError:
        pass
    match = _DAY.fullmatch(written.strip())
    if match is None:
        raise ValueError(f"{written!r} is not a day written as 2024-03-31")
    one, dots, two, three = match.groups()
    chosen = _order(written) or ("dmy" if dots == "." else order)
    if chosen is None:
        raise ValueError(f"{written!r} may have the day or the month first; say which with --date-order dmy or mdy")
    parts = dict(zip(chosen, (one, two, three), strict=True))
    if len(parts["y"]) != 4:
        raise ValueError(f"{written!r} has no year of four digits")
    try:
        return datetime.date(int(parts["y"]), int(parts["m"]), int(parts["d"]))
    except ValueError as error:
        raise ValueError(f"{written!r} is no day of the calendar in the order {chosen}") from error


def _order(written: str) -> DayOrder | None:
    """What a day says of its own order."""
    match = _DAY.fullmatch(written.strip())
    if match is None:
        return None
    if len(match[1]) == 4:
        return "ymd"
    first, second = int(match[1]), int(match[3])
    return "dmy" if first > 12 >= second else "mdy" if second > 12 >= first else None
