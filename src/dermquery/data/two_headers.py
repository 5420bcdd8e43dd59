"""A header in two rows: titles of groups, often in merged cells, and below them the names of the columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

__all__ = ["one_header"]

Numbered = Sequence[tuple[int, list[str]]]
_DATA = re.compile(r"\d|\.(?:jpe?g|png|tiff?|bmp|webp|gif|heic|jp2|dcm)$", re.IGNORECASE)


def one_header(rows: Numbered, unit: str) -> tuple[Numbered, str]:
    """The rows from the names of the columns on, and what is to be told of a row of groups above them.

    The first row has groups if a name of it is empty or stands in several columns, and the second has a name without
    digits where the third has data. A name that two groups have gets its group's before it.
    """
    if len(rows) < 3 or not _has_groups(rows[0][1], rows[1][1]) or not any(map(_DATA.search, rows[2][1])):
        return rows, ""
    (at, groups), (_, names), *rest = rows
    filled: list[str] = []
    for group in groups:
        filled.append(group or (filled[-1] if filled else ""))
    twice = {name for name, count in Counter(names).items() if count > 1}
    full = [f"{group} {name}".strip() if name in twice else name for group, name in zip(filled, names, strict=True)]
    listed = ", ".join(repr(group) for group in dict.fromkeys(filter(None, groups)) if group not in names)
    return [(rows[1][0], full), *rest], f"{unit} {at} was passed over as titles of groups: {listed}"


def _has_groups(groups: Sequence[str], names: Sequence[str]) -> bool:
    wide = len(set(groups)) < len(groups) or "" in groups
    named = len(names) == len(groups) > 1 and all(names) and not any(map(_DATA.search, names))
    return wide and named and len(set(names)) > len(set(filter(None, groups)))
