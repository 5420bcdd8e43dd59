"""Files of words of a table and what they mean, to be corrected by hand: ``column``, ``value``, ``becomes``."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from dermquery.data.files import replacing
from dermquery.data.rows import CaseTableError, read_rows
from dermquery.data.vocabulary.words import Reworded

__all__ = ["read_value_maps", "write_unknown_words", "write_value_maps"]

_MAP_COLUMNS = ("column", "value", "becomes")


def read_value_maps(path: Path) -> dict[str, dict[str, str]]:
    """Value maps of a table with the columns ``column``, ``value`` and ``becomes``, one line for each value.

    Raises:
        CaseTableError: it is no such table, or says two things of one value.
    """
    rows = read_rows(path)
    if sorted(rows.header) != sorted(_MAP_COLUMNS):
        raise CaseTableError(
            f"{path}: a map has the columns column, value, becomes, for example diagnosis, Basaliom, bcc; it has: "
            f"{', '.join(rows.header)}"
        )
    maps: dict[str, dict[str, str]] = {}
    for number, cells in rows.numbered:
        row = dict(zip(rows.header, [*cells, "", "", ""], strict=False))
        mapped = maps.setdefault(row["column"], {})
        if mapped.setdefault(row["value"], row["becomes"]) != row["becomes"]:
            raise CaseTableError(
                f"{path}: {rows.unit} {number} makes {row['value']!r} of {row['column']} {row['becomes']!r}, an "
                f"earlier one {mapped[row['value']]!r}; keep one"
            )
    return maps


def write_value_maps(maps: Iterable[tuple[str, str, str]], path: Path) -> None:
    """Write column, value and what it becomes, as :func:`read_value_maps` reads them."""
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([_MAP_COLUMNS, *maps])


def write_unknown_words(worded: Reworded, path: Path) -> tuple[str, ...]:
    """Write the words that no vocabulary knows, of which a note names the first, and say where; none, no file."""
    found: list[tuple[str, str, str]] = []
    for field, words in worded.unknown.items():
        names = ("diagnosis_path", "diagnosis", "fine_diagnosis") if field == "diagnosis_path" else (field,)
        there = {name: {getattr(case, name) for case in worded.cases} for name in names}
        # What contradicts a site is no word of a column.
        found += [(name, word, word) for word in words for name in names if word in there[name]]
    if not found:
        path.unlink(missing_ok=True)
        return ()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_value_maps(found, path)
    return (f"all {len(found):,} words that are in no vocabulary: {path}; correct it, and give it as --map-file",)
