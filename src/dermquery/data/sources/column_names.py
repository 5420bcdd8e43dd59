"""What tables call the project's columns (``column_names.json``)."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path

__all__ = ["column_named", "column_names", "plain"]


@cache
def column_names() -> Mapping[str, list[str]]:
    """By our column, the names that others give it, in their order of preference."""
    names: Mapping[str, list[str]] = json.loads((Path(__file__).parent / "column_names.json").read_text("utf-8"))
    return names


def plain(name: str) -> str:
    """A column's name without accents, capitals and signs."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return re.sub(r"[^a-z0-9]+", "_", "".join(sign for sign in letters if not unicodedata.combining(sign))).strip("_")


def column_named(name: str) -> str | None:
    """Our column for another's name of it, such as ``Geschlecht``; None for none.

    >>> column_named("Geschlecht"), column_named("scanner")
    ('sex', None)
    """
    return next((ours for ours, others in column_names().items() if plain(name) in others), None)
