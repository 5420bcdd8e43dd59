"""Numbers and days of conditions, as people write them: ``breslow_mm>=0,7``, ``date>=31.3.2024``."""

from __future__ import annotations

import datetime
import math
import re

from dermquery.data.case import NUMBERS
from dermquery.data.vocabulary.ages_days import day_of, number_of
from dermquery.store.filters import FilterError, iso_day

__all__ = ["check_one_number", "day_asked", "has_decimal_comma", "number_asked"]

_COMMA = re.compile(r"\d+,\d+\s*(?P<unit>[cm]m)?")


def number_asked(field: str, written: str) -> float:
    """A number as tables write it: with a decimal comma, a length in mm, an age with its unit.

    Raises:
        FilterError: it is none.
    """
    try:
        number = number_of(field, written)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FilterError(f"{field} is a number, not {written!r}; write for example {field}>=40")
    return number


def has_decimal_comma(field: str, written: str) -> bool:
    """Whether the comma of a number is a decimal one, and not between two numbers, as it is between ages.

    Raises:
        FilterError: it may be either.
    """
    match = _COMMA.fullmatch(written) if field in NUMBERS and field != "age" else None
    if match is None:
        return False
    if written.startswith("0") or match["unit"]:
        return True
    point, both = written.replace(",", "."), written.replace(",", ", ")
    raise FilterError(f"{field}={written} may be one number or two; write {field}={point}, or {field}={both}")


def check_one_number(field: str, op: str, written: str) -> None:
    """Refuse two ages as a bound; the comma of a length is a decimal one.

    Raises:
        FilterError: it may be two numbers.
    """
    if field == "age" and _COMMA.fullmatch(written):
        first, point = written.partition(",")[0], written.replace(",", ".")
        raise FilterError(
            f"{field}{op}{written} may be one number or two; write {field}{op}{first}, or {field}{op}{point}"
        )


def day_asked(written: str) -> datetime.date:
    """A day in ISO 8601, or in another form that can be read in one way.

    Raises:
        FilterError: it is none.
    """
    try:
        return iso_day(written)
    except ValueError as error:
        try:
            if not written.isdecimal():
                return day_of(written, None)
        except ValueError as other:
            raise FilterError(str(other if "may " in str(other) else error)) from error
        raise FilterError(str(error)) from error
