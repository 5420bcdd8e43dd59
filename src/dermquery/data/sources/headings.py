"""The headings of a foreign table: which would be read as ours, and why a column cannot be what it is called."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Sequence

from dermquery.data.case_rows import COLUMNS, cell_problem
from dermquery.data.rows import Rows
from dermquery.data.sources.column_names import column_names, plain
from dermquery.data.sources.harmless import ids_may_name

__all__ = ["doubled", "is_ours", "may_be_names", "why_no_id"]


def may_be_names(name: str) -> str:
    """Why a column with words that may be names is not taken for the case id, and what to do."""
    return (
        f"{name!r} is not taken for the case id: it has words that may be names; write other ids or rename the files, "
        f"or if they name nobody, take it by --column {shlex.quote(f'{name}=case_id')}"
    )


def doubled(rows: Rows, counted: Sequence[Counter[str]]) -> tuple[str, ...]:
    """The names that several columns have, of which nobody knows which is meant."""
    filled = {name for name, values in zip(rows.header, counted, strict=True) if values}
    twice = (name for name, count in Counter(rows.header).items() if name and count > 1)
    return tuple(name for name in twice if name in filled)


def is_ours(name: str) -> bool:
    """Whether a column would be read as one of ours."""
    return any(plain(name) in (ours, *column_names().get(ours, ())) for ours in COLUMNS)


def why_no_id(rows: Rows, counted: Sequence[Counter[str]], taken: Sequence[str], out: Collection[str]) -> str:
    """Why a column that is called like an id, or nearly one by what it holds, is not taken for it; else empty."""
    names = [plain(name) for name in rows.header]
    for alias in ("case_id", *column_names()["case_id"]):
        for place in (place for place, known in enumerate(names) if known == alias):
            name, values = rows.header[place], counted[place]
            if taken[place] == "case_id":
                return ""
            if values and name not in out and ids_may_name(values, meant=name == "case_id"):
                return may_be_names(name)
            nearly = alias == "case_id" or 2 * len(values) > values.total()
            if values and nearly and name not in out and taken[place] in ("", name):
                value, count = values.most_common(1)[0]
                empty = f"{len(rows.fitting) - values.total():,} rows have none; fill them in"
                each = f"{value!r} is in {count:,} rows; give each row its own" if count > 1 else empty
                return f"{name!r} is not taken for the case id: {cell_problem('case_id', value) or each}"
    return ""
