"""What spellings of one word have in common, and the tables of words beside this module."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

__all__ = ["folded", "is_doubted", "rows_of", "word_lists"]

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "œ": "oe", "æ": "ae", "♀": "f", "♂": "m"})
_BETWEEN = re.compile(r"[\W_]+")


def folded(written: str) -> str:
    """A word without capitals, accents and signs, its umlauts in two letters.

    >>> folded("Männlich "), folded("head_neck/face"), folded("CC BY-NC 4.0")
    ('maennlich', 'head neck face', 'cc by nc 4 0')
    """
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", written).casefold()).translate(_UMLAUTS)
    letters = unicodedata.normalize("NFD", plain)
    return _BETWEEN.sub(" ", "".join(c for c in letters if not unicodedata.combining(c))).strip()


def is_doubted(written: str) -> bool:
    """Whether somebody put a question mark to a word: "Melanom?" is no melanoma."""
    return "?" in written


def rows_of(table: str) -> Iterator[dict[str, str]]:
    """The rows of a table beside this module."""
    with (Path(__file__).parent / table).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


@cache
def word_lists() -> Mapping[str, object]:
    """The spellings beside this module: by field and word a list, and the words that say "not recorded"."""
    found: Mapping[str, object] = json.loads((Path(__file__).parent / "words.json").read_text(encoding="utf-8"))
    return found
