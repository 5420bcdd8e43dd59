"""What a data source is, and how one is added: the extension point of ``dermquery data prepare``.

A source is an object like :class:`Source`, one of :data:`SOURCES`. A package of its own adds one with three lines of
its pyproject.toml, and ``dermquery data prepare NAME`` is there when it is installed::

    [project.entry-points."dermquery.sources"]
    clinic = "our_package.clinic:SOURCE"

Most releases are a folder of images and a few tables: those are described by a
:class:`~dermquery.data.sources.tables.TableSource`, and need no code of their own.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dermquery.data.case import Case
from dermquery.data.sources.prepare import BadImage, PrepareError, PrepareReport, Progress, prepare_cases
from dermquery.extensions import ExtensionError, Extensions

__all__ = ["SOURCES", "Reading", "Source", "load_source", "prepare_source", "recognised", "source_names", "terms_in"]

_TERMS = ("attribution.txt", "license.txt", "licence.txt")


@dataclass(frozen=True)
class Reading:
    """What a source read of a release.

    Attributes:
        cases: each with the file of the release as its image.
        bad: rows that cannot be used, if they were to be left out.
        notes: what there is to tell, a line each: counts that differ from those published, what was passed over.
    """

    cases: tuple[Case, ...]
    bad: tuple[BadImage, ...] = ()
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """A release that is read with one command.

    Attributes:
        name: of the command, and of its entry point.
        title: one line for ``--help``.
        flags: options of its own that take no value, each with its help: ``{"all": "All diagnoses."}`` is ``--all``.
    """

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def flags(self) -> Mapping[str, str]: ...

    def recognises(self, header: Collection[str]) -> bool:
        """Whether a table with these columns is one of this release's."""
        ...

    def read(
        self,
        folder: Path,
        tables: Sequence[Path] = (),
        *,
        flags: Collection[str] = (),
        skip_bad: bool = False,
        without: Path | None = None,
    ) -> Reading:
        """Read the tables of a release and find their images.

        Args:
            folder: of the images; the tables lie anywhere in it, unless they are given.
            tables: the tables that count.
            flags: those of its options that were set.
            skip_bad: leave out rows that cannot be used.
            without: a folder within ``folder`` to pass over.

        Raises:
            PrepareError: it is another release, or a part is missing.
            CaseTableError: bad rows, all listed, without ``skip_bad``.
        """
        ...


_MEMBERS = ("name", "title", "flags", "recognises", "read")
SOURCES: Extensions[Source] = Extensions(
    "dermquery.sources",
    "source",
    lambda found: all(hasattr(found, member) for member in _MEMBERS),
    "a dermquery.data.sources.source.Source",
    {
        name: f"dermquery.data.sources.{name.replace('-', '_')}:SOURCE"
        for name in (
            *("bcn20000", "derm7pt", "ham10000", "isic-archive", "isic2018", "isic2019", "isic2020", "milk10k"),
            *("pad-ufes-20", "ph2"),
        )
    },
)


def source_names() -> list[str]:
    """Names of the sources that there are, in alphabetical order."""
    return sorted(SOURCES.names())


def load_source(name: str) -> Source:
    """A source by its name.

    Raises:
        PrepareError: there is none of that name.
        ExtensionError: its package is broken, or two packages have the name.
    """
    if (source := SOURCES.find(name)) is None:
        raise PrepareError(f"no source {name!r}; there are: {', '.join(source_names())}")
    return source


def recognised(header: Collection[str]) -> list[str]:
    """Names of the sources that know a table with these columns."""
    found = []
    for name in source_names():
        # A broken package of somebody's is told where that source is asked for.
        with suppress(ExtensionError), SOURCES.blamed(name):
            found += [name] if load_source(name).recognises(header) else []
    return found


def prepare_source(
    source: Source,
    folder: Path,
    out: Path,
    tables: Sequence[Path] = (),
    *,
    flags: Collection[str] = (),
    size: int | None = None,
    crop: bool = False,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> PrepareReport:
    """Read a release and prepare its images; see :func:`~dermquery.data.sources.prepare.prepare_cases`.

    The texts of licences and attributions that lie in the folder are copied beside the case table.

    Raises:
        PrepareError, CaseTableError: as :meth:`Source.read`, or if ``out`` is the folder itself.
        ExtensionError: another package's source breaks.
    """
    if out.resolve() == folder.resolve():
        raise PrepareError(f"{out} is the folder whose images are read; prepare into another one")
    with SOURCES.blamed(source.name):
        reading = source.read(folder, tables, flags=flags, skip_bad=skip_bad, without=out)
    report = prepare_cases(
        reading.cases, out, source=source.name, size=size, crop=crop, skip_bad=skip_bad, progress=progress,
        bad=reading.bad, places=(folder, *tables),
    )  # fmt: skip
    for path in terms_in(folder):
        target = out / path.relative_to(folder)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    return dataclasses.replace(report, notes=(*reading.notes, *report.notes))


def terms_in(folder: Path) -> list[Path]:
    """The files of a release that say under which terms it may be used."""
    return sorted(path for path in folder.glob("*.txt") if path.name.lower() in _TERMS) + sorted(
        folder.glob("licenses/*.txt")
    )
