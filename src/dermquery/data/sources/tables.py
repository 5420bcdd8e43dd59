"""Releases that are a folder of images and a few tables: each is described by its tables' columns, and not programmed.

The table of the images comes first; others are joined to it. What a release publishes of itself is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dermquery.data.case import Case
from dermquery.data.case_table import CaseTableError, check_rows
from dermquery.data.rows import BadRow, Rows
from dermquery.data.sources.images import ImageFolder
from dermquery.data.sources.layouts import Layout, NamedTable, Row, header_of, known_layout, read_table
from dermquery.data.sources.prepare import BadImage, PrepareError
from dermquery.data.sources.source import Reading, terms_in
from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.data.vocabulary.words import is_missing

__all__ = ["Layout", "NamedTable", "Part", "Row", "TableSource"]

FindImage = Callable[[str], Path | None]
"""From the name of an image to its file; None if there is none, ValueError if there are several."""
_NAMED = 3
_LISTED = 20


@dataclass(frozen=True)
class Part:
    """What was published of a part of a release: its images, and how many of them are of each class."""

    images: int
    classes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TableSource:
    """A :class:`~dermquery.data.sources.source.Source` by its description.

    Words that the vocabularies know (:mod:`dermquery.data.vocabulary`) need none: "histo" is histopathology everywhere.

    Attributes:
        name, title, flags: as every source has them.
        layouts: the tables; the first is that of the images.
        words: classes that the vocabulary of diagnoses lacks, each as it calls them.
        constants: what every case has, ``{"licence": "CC-BY"}``, unless its row says something else.
        values: by our column, words mapped to ours; an empty one is "not recorded".
        refine: changes a row in our names where that is no mere renaming. The image's name is its ``image``, or else
            its ``case_id``.
        parts: what was published, by the word that the tables' file names have ("training"); the first counts if none
            has one.
        duplicates: two columns of a table of pairs that show one image; the second of each is left out.
    """

    name: str
    title: str
    layouts: tuple[Layout, ...]
    words: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    refine: Callable[[Row], None] | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    duplicates: tuple[str, str] | None = None
    flags: Mapping[str, str] = field(default_factory=dict)

    def read(
        self,
        folder: Path,
        tables: Sequence[Path] = (),
        *,
        flags: Collection[str] = (),
        skip_bad: bool = False,
        without: Path | None = None,
    ) -> Reading:
        """As every source does. Rows whose image is not there are left out and counted: many have a part of a release.

        Raises:
            PrepareError: a table is missing, or every image.
            CaseTableError: bad rows, without ``skip_bad``.
        """
        images = ImageFolder(folder, without=without)
        used = list(tables) or self.find_tables(images.others)
        if not used:
            raise PrepareError(
                f"{folder} has no table of {self.name}, with the columns {', '.join(self.layouts[0].has)}; give it "
                f"behind the folder, or look for the release with: dermquery data inspect TABLE"
            )
        reading = self.read_tables(used, images.found, skip_bad=skip_bad)
        notes = list(reading.notes)
        if unnamed := set(images.paths) - {case.image for case in reading.cases}:
            notes.append(f"{len(unnamed):,} images are in no row that was used ({min(unnamed).name}, …)")
        if left := images.left_aside([*used, *terms_in(folder)]):
            notes.append(f"neither images nor tables of {self.name}, so left aside: {left}")
        return Reading(reading.cases, reading.bad, tuple(notes))

    def recognises(self, header: Collection[str]) -> bool:
        """Whether a table with these columns is one of this release's."""
        return known_layout(header, self._kinds()) is not None

    def find_tables(self, files: Sequence[Path]) -> list[Path]:
        """Those of the files that are tables of this release."""
        return [path for path in files if self.recognises(header_of(path))]

    def read_table(self, path: Path) -> NamedTable:
        """One table in our names.

        Raises:
            CaseTableError: it cannot be read, or is none of this release.
        """
        return read_table(path, self._kinds())

    def read_tables(self, paths: Sequence[Path], find_image: FindImage, *, skip_bad: bool = False) -> Reading:
        """The cases of the tables, wherever their images are.

        Raises:
            PrepareError, CaseTableError: as :meth:`read`.
        """
        tables = [self.read_table(path) for path in paths]
        self._check_complete(tables)
        bad = [(table, row) for table in tables for row in table.bad]
        if bad and not skip_bad:
            raise CaseTableError(_listed(bad), [row for _, row in bad])
        notes = [table.note for table in tables if table.note]
        further = [_by_key(tables, layout) for layout in self.layouts[1:]]
        twice = self._twice(tables)
        cases: list[Case] = []
        seen: dict[str, Path] = {}
        for table in tables:
            if table.layout is not self.layouts[0]:
                continue
            rows = [(number, joined) for number, row in table.rows if (joined := _joined(row, further)) is not None]
            notes += self._counted(table.path, Counter(row.get("class", "") for _, row in rows))
            rows = [(number, self._finished(row)) for number, row in rows]
            _check_once(self.name, table.path, rows, seen)
            rows, told = _chosen(rows, twice, find_image)
            notes += told
            if rows:
                read = _cases(table, rows, find_image, skip_bad=skip_bad)
                cases += read[0]
                bad += [(table, row) for row in read[1]]
        if not cases:
            raise PrepareError("; ".join([*notes, f"no image of {self.name} is left; give the folder of its images"]))
        return Reading(tuple(cases), tuple(_bad_image(table, row) for table, row in bad), tuple(notes))

    def _kinds(self) -> tuple[Layout, ...]:
        return (*self.layouts, *([Layout(self.duplicates)] if self.duplicates else []))

    def _check_complete(self, tables: Sequence[NamedTable]) -> None:
        there = [table.layout for table in tables]
        for layout in self.layouts:
            if layout.needed and layout not in there:
                raise PrepareError(
                    f"the table of {self.name} with the columns {', '.join(layout.has)} is missing; there are "
                    f"{', '.join(table.path.name for table in tables)}; put it there, or give all behind the folder"
                )

    def _twice(self, tables: Sequence[NamedTable]) -> dict[str, str]:
        """The images that are left out, each with the one that shows the same."""
        if not self.duplicates:
            return {}
        first, second = self.duplicates
        pairs = (row for table in tables if set(table.layout.has) == {first, second} for _, row in table.rows)
        return {row[second]: row[first] for row in pairs if first in row and second in row}

    def _finished(self, row: Row) -> Row:
        """A joined row in the words of all."""
        done = {**self.constants, **row}
        if (word := done.pop("class", "")) and not is_missing(word):
            known = self.words.get(word, word)
            group = DIAGNOSES.group(known, done.get("source", "")) or word.lower()
            done = {"diagnosis": group, "fine_diagnosis": word, **done}
            if known != word:
                done["diagnosis_path"] = DIAGNOSES.named(known) or ""
        if self.refine:
            self.refine(done)
        for name, mapped in self.values.items():
            if name in done:
                done[name] = mapped.get(done[name], done[name])
        return {"image": done["case_id"], **done} if "case_id" in done else done

    def _counted(self, path: Path, classes: Counter[str]) -> list[str]:
        """How the rows of a table compare with what was published."""
        if not self.parts:
            return []
        notes = []
        word = next((word for word in self.parts if word in path.name.casefold()), next(iter(self.parts)))
        part, n = self.parts[word], classes.total()
        differ = [
            f"{name} {classes[name]:,} ({count:,})" for name, count in part.classes.items() if classes[name] != count
        ]
        if part.classes and (unknown := [name for name in classes if name and name not in part.classes]):
            notes.append(f"{path.name}: {', '.join(unknown[:_NAMED])} is no class of {self.name}; kept as it is")
        if n != part.images:
            notes.append(f"{path.name}: {n:,} of {part.images:,} published images of the {word} part")
        elif differ:
            notes.append(f"{path.name}: {n:,} rows as published, but not their classes: {', '.join(differ)}")
        else:
            notes.append(f"{path.name}: {n:,} rows{' and their classes' if part.classes else ''}, as published")
        return notes


def _by_key(tables: Sequence[NamedTable], layout: Layout) -> tuple[str, dict[str, Row], set[str]]:
    """The rows of a further table by their key, and the keys of its bad rows."""
    own = [table for table in tables if table.layout is layout]
    rows = {row[layout.key]: row for table in own for _, row in table.rows if layout.key in row}
    return layout.key, rows, {row.case_id for table in own for row in table.bad}


def _joined(row: Row, further: Iterable[tuple[str, dict[str, Row], set[str]]]) -> Row | None:
    """A row with what the further tables say of it; None if one of them says something that cannot be used."""
    for key, rows, bad in further:
        if row.get(key) in bad:
            return None
        row = {**rows.get(row.get(key, ""), {}), **row}
    return row


def _check_once(name: str, path: Path, rows: Iterable[tuple[int, Row]], seen: dict[str, Path]) -> None:
    """No image may be in two tables: one of them is another version of the release."""
    for _, row in rows:
        if seen.setdefault(row.get("case_id", ""), path) != path:
            raise PrepareError(
                f"{row['case_id']} is in {seen[row['case_id']]} and in {path}; give the tables that count, as in: "
                f"dermquery data prepare {name} FOLDER {path.name}"
            )


def _chosen(
    rows: list[tuple[int, Row]], twice: Mapping[str, str], find_image: FindImage
) -> tuple[list[tuple[int, Row]], list[str]]:
    """The rows whose image is there, and not a second time, and what is to be told of the others."""
    ids = {row.get("case_id", "") for _, row in rows}
    once = [(n, row) for n, row in rows if twice.get(row.get("case_id", "")) not in ids]
    there = [(n, row) for n, row in once if _is_there(find_image, row)]
    notes = [f"{len(rows) - len(once):,} images are listed as duplicates of others and left out"] * (once != rows)
    if len(there) < len(once):
        kept = {n for n, _ in there}
        absent = [row["case_id"] for n, row in once if n not in kept][:_NAMED]
        names = ", ".join(absent)
        notes.append(f"{len(there):,} of {len(once):,} rows have their image here; the others are left out ({names} …)")
    return there, notes


def _is_there(find_image: FindImage, row: Row) -> bool:
    try:
        return "image" not in row or find_image(row["image"]) is not None
    except ValueError:  # several are, which is told with the row
        return True


def _cases(
    table: NamedTable, numbered: list[tuple[int, Row]], find_image: FindImage, *, skip_bad: bool
) -> tuple[Sequence[Case], Sequence[BadRow]]:
    names = list(dict.fromkeys(name for _, row in numbered for name in row))
    rows = Rows(table.unit, tuple(names), [(n, [row.get(name, "") for name in names]) for n, row in numbered])

    def find(cell: str) -> Path:
        return (find_image(cell) if cell else None) or Path(cell)

    read = check_rows(table.path, rows, names, ("case_id", "image"), find, skip_bad=skip_bad)
    return read.cases, read.skipped


def _listed(bad: Sequence[tuple[NamedTable, BadRow]]) -> str:
    lines = [f"{len(bad)} rows cannot be used, so nothing was loaded:"]
    lines += [f"  {_bad_image(table, row).reason}" for table, row in bad[:_LISTED]]
    lines += [f"  ... and {len(bad) - _LISTED} more"] if len(bad) > _LISTED else []
    return "\n".join([*lines, "Correct them, or leave them out with --skip-bad."])


def _bad_image(table: NamedTable, row: BadRow) -> BadImage:
    who = f" ({row.case_id})" if row.case_id else ""
    return BadImage(row.case_id, f"{table.path.name}, {table.unit} {row.line}{who}: {'; '.join(row.problems)}")
