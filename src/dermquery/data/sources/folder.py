"""Prepare the user's own images: a folder with a table, or a folder alone."""

from __future__ import annotations

import dataclasses
import shlex
from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from dermquery.data.case_table import CaseTable, ValueMaps, read_cases
from dermquery.data.rows import CaseTableError, Rows, read_rows
from dermquery.data.sources.harmless import ids_may_name
from dermquery.data.sources.held import entered, held_cases
from dermquery.data.sources.images import ImageFolder
from dermquery.data.sources.keeping import not_kept
from dermquery.data.sources.lesions import within_patients
from dermquery.data.sources.prepare import BadImage, PrepareError, PrepareReport, Progress, prepare_cases
from dermquery.data.vocabulary.ages_days import DayOrder

__all__ = ["prepare_folder"]

_NAMED_FILES = (
    "the names of the images are the case ids, which everybody sees, and have words that may be names; if they name "
    "persons, rename the images, or give a table with other ids"
)


def prepare_folder(
    folder: Path,
    out: Path,
    *,
    table: Path | None = None,
    columns: Mapping[str, str] | None = None,
    values: ValueMaps | None = None,
    ignore: Collection[str] = (),
    sheet: str | None = None,
    label_from_folder: bool = False,
    clinic: str = "",
    size: int | None = None,
    crop: bool = False,
    skip_bad: bool = False,
    date_order: DayOrder | None = None,
    progress: Progress | None = None,
) -> PrepareReport:
    """Prepare any folder of images; see :func:`~dermquery.data.sources.prepare.prepare_cases`.

    Args:
        folder: images, at any depth. What else lies there is counted and named in the report.
        out: folder to write to; an interrupted run is continued. Within ``folder``, its images are passed over.
        table: facts about the images, which it names as :meth:`ImageFolder.find` understands. Without an image column,
            the case id is the name.
        columns: the user's column names mapped to ours, or to themselves. Those of which nothing says that they name
            nobody (:mod:`~dermquery.data.sources.keeping`) are left out unless they are named here, or every word
            of theirs is in ``values``.
        values: by our column, words of the table mapped to those that are meant.
        ignore: columns of the table to leave out.
        sheet: of a spreadsheet, the one to read.
        clinic: recorded as the source of the cases that name none, whose ids are its own then.
        label_from_folder: without a table, take the name of an image's folder as its diagnosis.
        size: squares of so many pixels without borders, as in the paper; None keeps the images as they came.
        crop: remove the borders and keep the proportions.
        skip_bad: leave out rows and images that cannot be used; they are listed in the report.
        date_order: whether the table's dates have the day or the month first, where no date of it settles that.
        progress: called after each image.

    Raises:
        PrepareError: no folder, no image in it, two images with one case id, or options that exclude each other.
        CaseTableError: bad rows, all listed, without ``skip_bad``.
    """
    if out.resolve() == folder.resolve():
        raise PrepareError(f"{out} is the folder whose images are read; prepare into another one")
    images = ImageFolder(folder, without=out)
    rows: tuple[BadImage, ...] = ()
    notes: list[str] = []
    if table is None:
        if columns or values or ignore or sheet is not None:
            raise PrepareError("--column, --map, --ignore and --sheet need a table; give it with --table")
        held = {case.case_id: case for case in held_cases(out)}
        cases, kept = entered(images.cases(label_from_folder=label_from_folder), held)
        notes += kept
        if ids_may_name(Counter(case.case_id for case in cases), meant=True):
            notes.append(_NAMED_FILES)
    elif label_from_folder:
        raise PrepareError("the labels come from the table or from the folders; give --table or --label-from-folder")
    else:
        read, notes = _read(
            table, images, columns=columns or {}, values=values or {}, ignore=ignore, sheet=sheet, skip_bad=skip_bad,
            date_order=date_order,
        )  # fmt: skip
        cases = list(read.cases)
        rows = tuple(
            BadImage(row.case_id, f"{table}, line {row.line}: {'; '.join(row.problems)}") for row in read.skipped
        )
        if unnamed := set(images.paths) - {case.image for case in cases}:
            notes.append(f"{len(unnamed)} images are in no row of {table.name} ({min(unnamed).name}, …)")
    if left := images.left_aside([] if table is None else [table]):
        notes.append(f"no images, so left aside: {left}")
    if clinic:
        cases = [case if case.source else case.model_copy(update={"source": clinic}) for case in cases]
    cases, numbered = within_patients(cases)
    notes += numbered
    report = prepare_cases(
        cases, out, source="folder", size=size, crop=crop, skip_bad=skip_bad, progress=progress, bad=rows,
        places=(folder, *([table] if table else ())),
    )  # fmt: skip
    return dataclasses.replace(report, notes=(*notes, *report.notes))


def _read(
    table: Path,
    images: ImageFolder,
    *,
    columns: Mapping[str, str],
    values: ValueMaps,
    ignore: Collection[str],
    sheet: str | None,
    skip_bad: bool,
    date_order: DayOrder | None,
) -> tuple[CaseTable, list[str]]:
    """The table without what may name a person, unless it was asked for, and what there is to tell."""
    rows = read_rows(table, sheet=sheet)
    named = {*columns, *ignore, *(name for name, mapped in values.items() if _maps_all(rows, name, mapped))}
    out, told = not_kept(table, rows, named=named, is_file=partial(images.names, beside=table))
    if kept := next((name for name in values if name in out), None):
        raise CaseTableError(
            f"{table}: {kept!r} may name persons ({out[kept]}), and a map of some of its words keeps the others; "
            f"leave the map out, map every word, or keep the column by --column {shlex.quote(f'{kept}={kept}')}"
        )
    if "case_id" in out and "case_id" not in columns.values():
        raise CaseTableError(
            f"{table}: case_id identifies persons ({out['case_id']}); give another column by --column "
            "THEIRS=case_id, or keep it on purpose by --column case_id=case_id"
        )
    said = [told] if told else []
    counts = {name: rows.header.count(name) for name in ignore}
    said += [f"{count} columns are called {name!r}; none is read" for name, count in counts.items() if count > 1]
    try:
        read = read_cases(
            table, columns=columns, values=values, ignore=[*ignore, *out], skip_bad=skip_bad, rows=rows,
            find_image=partial(images.find, beside=table), date_order=date_order,
        )  # fmt: skip
    except CaseTableError as error:
        raise CaseTableError("\n".join([str(error), *said]), error.rows) from error
    return read, [*said, *read.notes]


def _maps_all(rows: Rows, name: str, mapped: Mapping[str, str]) -> bool:
    """Whether every word of a column is mapped, so that none of them is kept."""
    places = [place for place, header in enumerate(rows.header) if header == name]
    words = {cells[place] for _, cells in rows.numbered for place in places if place < len(cells)} - {""}
    return {word.casefold() for word in words} <= {word.strip().casefold() for word in mapped}
