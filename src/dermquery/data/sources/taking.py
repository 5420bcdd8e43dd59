"""Which columns of a foreign table are taken for ours: by their names, and the images also by what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from dermquery.data.case import CASE_FIELDS, Kind
from dermquery.data.case_rows import COLUMNS, cell_problem
from dermquery.data.rows import Rows
from dermquery.data.sources.column_names import column_names, plain
from dermquery.data.sources.harmless import ids_may_name
from dermquery.data.sources.identifying import PICTURE
from dermquery.data.sources.images import ImageFolder
from dermquery.data.vocabulary.ages_days import DayOrder

__all__ = ["FIRST_ORDER", "columns_taken"]

FIRST_ORDER: DayOrder = "dmy"
"""The order in which days are read that say none."""


def columns_taken(rows: Rows, folder: ImageFolder | None, path: Path, persons: Collection[str]) -> list[str]:
    """Our name for each column; its own where it is none of ours; none where it is left out.

    Args:
        rows: of the table.
        folder: of its images, if it is at hand.
        path: of the table.
        persons: headings that may become none of ours, as they may name a person.
    """
    counted = rows.counted
    names = [plain(name) for name in rows.header]
    taken = [
        "" if rows.header.count(name) > 1 or not values or name in persons else name
        for name, values in zip(rows.header, counted, strict=True)
    ]
    ours: dict[str, int] = {}
    for name in COLUMNS:
        places = [
            place
            for alias in (name, *column_names().get(name, ()))
            for place, known in enumerate(names)
            if known == alias
        ]
        free = [place for place in places if taken[place] and place not in ours.values() and _fits(name, rows, place)]
        if free:
            ours[name] = free[0]
    pictures = _pictures(counted, taken, folder, path, called=ours.get("image"))
    if pictures is not None:
        ours = {name: place for name, place in ours.items() if place != pictures or name == "case_id"}
        ours["image"] = pictures
    if "case_id" not in ours and "image" in ours and _fits("case_id", rows, ours["image"]):
        ours["case_id"] = ours.pop("image")  # the case id is looked for where there is no image column
    if ours.get("image") == ours.get("case_id"):
        ours.pop("image", None)
    for name, place in ours.items():
        taken[place] = name
    return [known if known not in COLUMNS or ours.get(known) == place else "" for place, known in enumerate(taken)]


def _fits(name: str, rows: Rows, place: int) -> bool:
    """Whether a column may be the one of that name: ids are there once, most numbers and days, any finding is read."""
    values = rows.counted[place]
    if name == "case_id":
        is_unique = len(values) == values.total() == len(rows.fitting)
        return is_unique and not ids_may_name(values, meant=rows.header[place] == name)
    field = CASE_FIELDS.get(name)
    if field is None or not (field.is_ordered or field.kind is Kind.CRITERION):
        return True
    good = sum(count for value, count in values.items() if cell_problem(name, value, FIRST_ORDER) is None)
    return good > 0 if field.kind is Kind.CRITERION else 2 * good >= values.total()


def _pictures(
    counted: Sequence[Counter[str]], taken: Sequence[str], folder: ImageFolder | None, path: Path, called: int | None
) -> int | None:
    """The column that names images, by the files if there are, else by its endings; one that is called so comes first.

    Ids may name files too, and those of other cases.
    """
    best, most = None, 0
    for place in sorted(range(len(counted)), key=lambda place: place != called):
        values = counted[place]
        if taken[place]:
            found = sum(_is_picture(value, folder, path) for value in list(values)[:200])
            if 2 * found >= min(len(values), 200) and found > most:
                if place == called:
                    return place
                best, most = place, found
    return best


def _is_picture(value: str, folder: ImageFolder | None, path: Path) -> bool:
    return PICTURE.fullmatch(value) is not None if folder is None else folder.names(value, beside=path)
