"""The headings of a foreign table: how ours are called elsewhere, and why a column cannot be what it is called."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path

from dermquery.data.case_rows import COLUMNS, cell_problem
from dermquery.data.rows import Rows

__all__ = ["aliases", "doubled", "is_ours", "plain", "why_no_id"]


@cache
def aliases() -> Mapping[str, list[str]]:
    """By our column, the names that others give it, in their order of preference."""
    names: Mapping[str, list[str]] = json.loads((Path(__file__).parent / "column_names.json").read_text("utf-8"))
    return names


def plain(name: str) -> str:
    """A column's name without accents, capitals and signs."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return re.sub(r"[^a-z0-9]+", "_", "".join(sign for sign in letters if not unicodedata.combining(sign))).strip("_")


def doubled(rows: Rows, counted: Sequence[Counter[str]], persons: Collection[str]) -> tuple[str, ...]:
    """The names that several columns have, of which nobody knows which is meant."""
    filled = {name for name, values in zip(rows.header, counted, strict=True) if values}
    twice = (name for name, count in Counter(rows.header).items() if name and count > 1)
    return tuple(name for name in twice if name in filled and name not in persons)


def is_ours(name: str) -> bool:
    """Whether a column would be read as one of ours."""
    return any(plain(name) in (ours, *aliases().get(ours, ())) for ours in COLUMNS)


def why_no_id(rows: Rows, counted: Sequence[Counter[str]], taken: Sequence[str], out: Collection[str]) -> str:
    """Why a column that is called like an id, or nearly one by what it holds, is not taken for it; else empty."""
    names = [plain(name) for name in rows.header]
    for alias in ("case_id", *aliases()["case_id"]):
        for place in (place for place, known in enumerate(names) if known == alias):
            name, values = rows.header[place], counted[place]
            if taken[place] == "case_id":
                return ""
            nearly = alias == "case_id" or 2 * len(values) > values.total()
            if values and nearly and name not in out and taken[place] in ("", name):
                value, count = values.most_common(1)[0]
                empty = f"{len(rows.numbered) - values.total():,} rows have none; fill them in"
                each = f"{value!r} is in {count:,} rows; give each row its own" if count > 1 else empty
                return f"{name!r} is not taken for the case id: {cell_problem('case_id', value) or each}"
    return ""
