"""Attributes of a data set, whatever was written into them: an attribute that cannot be read is not there."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag

__all__ = ["items", "number", "numbers", "text", "texts", "value"]

_MOST_PARSED = 64 << 10
"""Bytes of a sequence that is still to be parsed; a few coded terms take some hundred."""
_MOST_ITEMS = 100


def value(dataset: Dataset, name: str) -> object:
    """An attribute's value; None if it is missing, empty or cannot be read."""
    try:
        return dataset.get(name)
    except Exception:  # pydicom converts a value when it is first asked for, and raises anything
        return None


def texts(dataset: Dataset, name: str) -> tuple[str, ...]:
    """The values of an attribute as words, without the blanks around them."""
    found = value(dataset, name)
    if found is None or isinstance(found, bytes | Sequence):
        return ()
    each = found if isinstance(found, MultiValue | list | tuple) else (found,)
    return tuple(word for one in each if one is not None and (word := str(one).strip(" \0\t\r\n")))


def text(dataset: Dataset, name: str) -> str:
    """The first value of an attribute; empty if there is none."""
    return next(iter(texts(dataset, name)), "")


def numbers(dataset: Dataset, name: str) -> tuple[float, ...]:
    """The values of an attribute that are finite numbers."""
    found = []
    for word in texts(dataset, name):
        try:
            one = float(word)
        except ValueError:
            continue
        if math.isfinite(one):
            found.append(one)
    return tuple(found)


def number(dataset: Dataset, name: str) -> float | None:
    """The first value of an attribute as a number; None if it is none."""
    return next(iter(numbers(dataset, name)), None)


def items(dataset: Dataset, name: str, *, most: int = _MOST_ITEMS, most_bytes: int = _MOST_PARSED) -> Iterator[Dataset]:
    """The first items of a sequence; none if it is too long to be parsed, or no sequence."""
    try:
        raw: object = dataset.get_item(Tag(name))
        if isinstance(raw, RawDataElement) and len(raw.value or b"") > most_bytes:
            return
    except Exception:
        return
    found = value(dataset, name)
    if isinstance(found, Sequence):
        yield from list(found)[:most]
