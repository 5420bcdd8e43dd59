"""Report formats: an answer as bytes to take away, by the ending of the file.

Command line, service and client take every format that is here; another package adds one by an entry point of
``dermquery.reports`` that names a :class:`ReportFormat` (docs/extending.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermquery.answer.content import Warned
from dermquery.data.files import replacing
from dermquery.data.meant import did_you_mean
from dermquery.extensions import Extensions
from dermquery.store.hits import SearchResult

__all__ = ["REPORTS", "ReportFormat", "ending_of", "render", "write_report"]

Render = Callable[[SearchResult, Sequence[Warned], str | None], bytes]


@dataclass(frozen=True)
class ReportFormat:
    """A kind of file.

    Attributes:
        media_type: for HTTP, such as ``application/pdf``.
        render: the file of a result, the warnings about its query, and the line that stands on every page, if any.
            :func:`dermquery.answer.content.report_content` gives the words of a hit, the same in every format.
        explained: whether it shows where a similarity comes from, if the result holds evidence.
    """

    media_type: str
    render: Render
    explained: bool = False


REPORTS: Extensions[ReportFormat] = Extensions(
    "dermquery.reports",
    "report format",
    lambda found: isinstance(found, ReportFormat),
    "a dermquery.answer.formats.ReportFormat",
    {
        "pdf": "dermquery.answer.pdf:PDF",
        "html": "dermquery.answer.html:HTML",
        "png": "dermquery.answer.png:PNG",
        "csv": "dermquery.answer.csv_json:CSV",
        "json": "dermquery.answer.csv_json:JSON",
        "fhir.json": "dermquery.answer.fhir:FHIR",
    },
)


def ending_of(path: str | Path) -> str:
    """The format of a file by its ending, the longest that there is: ``x.fhir.json`` is no plain JSON.

    Raises:
        ValueError: there is no such format; the message lists them.
    """
    file, names = Path(path).name.lower(), REPORTS.names()
    fitting = [ending for ending in names if file.endswith(f".{ending}")]
    if not fitting:
        ending = Path(file).suffix.lstrip(".")
        meant = did_you_mean(ending, names)
        raise ValueError(f"{path}: no report has the ending {ending!r}{meant}; use one of: {', '.join(names)}")
    return max(fitting, key=len)


def render(
    name: str, result: SearchResult, warnings: Sequence[Warned] = (), notice: str | None = None
) -> tuple[bytes, str]:
    """A result as a file of a format, and its media type.

    Raises:
        ExtensionError: another package's format is broken.
        ValueError: an unknown format.
    """
    if (form := REPORTS.find(name)) is None:
        raise ValueError(f"unknown report format {name!r}; use one of: {', '.join(REPORTS.names())}")
    with REPORTS.blamed(name):
        return form.render(result, warnings, notice), form.media_type


def write_report(
    result: SearchResult, path: str | Path, *, warnings: Sequence[Warned] = (), notice: str | None = None
) -> Path:
    """Write a result in the format that the file's ending names, whole or not at all.

    Raises:
        ExtensionError, ValueError: as :func:`ending_of` and :func:`render`.
    """
    path = Path(path)
    content, _ = render(ending_of(path), result, warnings, notice)
    with replacing(path) as part:
        part.write_bytes(content)
    return path
