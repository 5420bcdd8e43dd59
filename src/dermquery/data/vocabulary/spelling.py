"""What spellings of one word have in common, and the tables of words beside this module."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

__all__ = ["folded", "rows_of"]

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "æ": "ae"})
_BETWEEN = re.compile(r"[\W_]+")


def folded(written: str) -> str:
    """A word without capitals, accents and signs, its umlauts in two letters.

    >>> folded("Männlich "), folded("head_neck/face"), folded("CC BY-NC 4.0")
    ('maennlich', 'head neck face', 'cc by nc 4 0')
    """
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", written).casefold()).translate(_UMLAUTS)
    letters = unicodedata.normalize("NFD", plain)
    return _BETWEEN.sub(" ", "".join(c for c in letters if not unicodedata.combining(c))).strip()


def rows_of(table: str) -> Iterator[dict[str, str]]:
    """The rows of a table beside this module."""
    with (Path(__file__).parent / table).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
