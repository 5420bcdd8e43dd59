"""Answers as files to take away: reports with their images, and the hits as data."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from dermquery.answer.csv_json import hits_csv, hits_json
from dermquery.answer.fhir import hits_fhir
from dermquery.answer.html import write_html
from dermquery.answer.pdf import write_pdf
from dermquery.serve.answers import Answer

__all__ = ["FILES", "ReportFile"]


class ReportFile(NamedTuple):
    """A kind of file: its media type, and what makes one of an answer and the line that stands on every page."""

    media_type: str
    write: Callable[[Answer, str | None], bytes]


def _pdf(answer: Answer, notice: str | None) -> bytes:
    buffer = BytesIO()
    write_pdf(answer.result, buffer, warnings=answer.warnings, notice=notice)
    return buffer.getvalue()


def _html(answer: Answer, notice: str | None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = write_html(answer.result, Path(folder) / "hits.html", warnings=answer.warnings, notice=notice)
        return path.read_bytes()


def _csv(answer: Answer, _notice: str | None) -> bytes:
    return hits_csv(answer.result).encode("utf-8-sig")  # Excel recognises UTF-8 by its byte order mark


def _json(answer: Answer, _notice: str | None) -> bytes:
    return hits_json(answer.result, answer.warnings).encode()


def _fhir(answer: Answer, notice: str | None) -> bytes:
    return hits_fhir(answer.result, answer.warnings, notice).encode()


FILES: Mapping[str, ReportFile] = {
    "pdf": ReportFile("application/pdf", _pdf),
    "html": ReportFile("text/html; charset=utf-8", _html),
    "csv": ReportFile("text/csv; charset=utf-8", _csv),
    "json": ReportFile("application/json", _json),
    "fhir.json": ReportFile("application/fhir+json", _fhir),
}
"""Kinds of files by their ending."""
