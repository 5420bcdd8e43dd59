"""What spreadsheets make of ids and words without asking: shortened numbers, days, numbers without their zeros."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

__all__ = ["LOST", "as_number", "is_made_day", "is_shortened", "lost_zeros", "spoiled_ids"]

LOST = "was shortened by a spreadsheet and lost its last digits"
_MADE_DAY = "was made a day by a spreadsheet"
_SHORTENED = re.compile(r"\d(?:[.,]\d+)?E\+\d{1,3}|\d[.,]\d+E\d{1,3}", re.IGNORECASE)
"""A long number as Excel shows it, and writes it to CSV, and other programs do."""
_HELD_DIGITS = 15
"""Digits of a number that a spreadsheet keeps; those behind become zeros."""
_SURE_OF_ZEROS = 3
"""Different ids that end in such zeros, from which it is no chance."""
_MONTHS = (
    "jan jän janv feb févr mar mär mrz mrt mars apr avr may mai mei jun juin jul juil aug août"
    " sep sept oct okt nov dec dez déc"
)
_MONTH = "|".join(f"[{name[0]}{name[0].upper()}]{name[1:]}" for name in _MONTHS.split())
"""As sheets shorten them in English, German, Dutch and French, with a capital or not; "DEC-12" may be an id."""
_DAY = re.compile(
    r"\d{4}-\d\d-\d\d(?: 00:00:00)?|\d{1,2}([./])\d{1,2}\1(?:19|20)\d\d"
    rf"|\d{{1,2}}(?:\. ?|[- ])(?:{_MONTH})\.?|(?:{_MONTH})\.?[- ]\d\d"
)
"""What "1-2" or "3/4" becomes: a day as sheets hold it, or as they show it: "02. Jan", "2-Jan", "Jan 02"."""


def is_shortened(value: str) -> bool:
    """Whether it is a number whose last digits are lost: ``1.23E+11``."""
    return _SHORTENED.fullmatch(value) is not None


def is_made_day(value: str) -> bool:
    """Whether it is a day as a spreadsheet makes it of something else: ``2024-02-01``, ``02. Jan``.

    >>> is_made_day("2-Jan"), is_made_day("1-2"), is_made_day("20240201")
    (True, False, False)
    """
    return _DAY.fullmatch(value) is not None


def as_number(value: float, held: float = 10.0**_HELD_DIGITS) -> str:
    """A whole number as text; from ``held`` on, where its last digits are lost, as one that is shortened."""
    return str(int(value)) if abs(value) < held else f"{value:.{_HELD_DIGITS}G}"


def spoiled_ids(values: Counter[str]) -> Mapping[str, str]:
    """By id of a column, what a spreadsheet did to it; ids that are all days may be meant.

    Args:
        values: of the column, each with its count.
    """
    found = {value: LOST for value in values if is_shortened(value)}
    days = [value for value in values if is_made_day(value)]
    others = [value for value in values if not is_made_day(value)]
    if others and not any(_DAY.match(value) for value in others):
        found |= dict.fromkeys(days, _MADE_DAY)
    long = [value for value in values if value.isdecimal() and len(value) > _HELD_DIGITS]
    if len(long) >= _SURE_OF_ZEROS and all(set(value[_HELD_DIGITS:]) == {"0"} for value in long):
        found |= dict.fromkeys(long, LOST)
    return found


def lost_zeros(values: Counter[str]) -> str:
    """What there is to tell of ids of digits, some with zeros in front and others shorter; empty for nothing."""
    digits = [value for value in values if value.isdecimal()]
    width = max((len(value) for value in digits if value.startswith("0") and len(value) > 1), default=0)
    short = next((value for value in digits if len(value) < width and not value.startswith("0")), "")
    if not short:
        return ""
    return f"ids of {width} digits have zeros in front, and {short!r} has none: a spreadsheet may have dropped them"
