"""The hits as files for other programs: CSV that a spreadsheet can open without harm, and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dermquery.answer.content import Warned
from dermquery.answer.words import term_phrase
from dermquery.data.files import replacing
from dermquery.store.hits import RESEARCH_USE, Hit, SearchResult

__all__ = ["COLUMNS", "hits_csv", "hits_json", "safe_cell", "write_csv", "write_json"]

COLUMNS = (
    "rank", "case_id", "diagnosis", "fine_diagnosis", "score", "local", "global", "shared_criteria",
    "differing_criteria", "lesion_id", "sex", "age", "site", "elevation", "source", "date", "local_weight", "base",
    "base_version", "model", "model_hash", "notice",
)  # fmt: skip
"""Every row says which base and model it comes from, because rows get copied into other tables. Patient ids, free text
and extra columns are left out; JSON has them."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def hits_csv(result: SearchResult) -> str:
    """The hits as CSV (RFC 4180) with a header, one row a hit.

    A cell of words that a spreadsheet would read as a formula, because it begins with ``=``, ``+``, ``-``, ``@``, a tab
    or a line break, gets an apostrophe before it (OWASP, CSV injection). Numbers are written with a decimal point.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for hit in result.hits:
        row = _row(hit, result)
        writer.writerow({name: safe_cell(v) if isinstance(v, str) else v for name, v in row.items()})
    return buffer.getvalue()


def hits_json(result: SearchResult, warnings: Sequence[Warned] = ()) -> str:
    """The whole answer as JSON, with the warnings about its query."""
    said = [{"kind": warning.kind, "message": warning.message} for warning in warnings]
    return json.dumps({**result.to_dict(), "warnings": said}, indent=2, ensure_ascii=False)


def write_csv(result: SearchResult, path: str | Path) -> Path:
    """Write :func:`hits_csv`, whole or not at all; UTF-8 with a byte order mark, by which Excel knows it."""
    path = Path(path)
    with replacing(path) as part:
        part.write_bytes(hits_csv(result).encode("utf-8-sig"))
    return path


def write_json(result: SearchResult, path: str | Path, warnings: Sequence[Warned] = ()) -> Path:
    """Write :func:`hits_json`, whole or not at all."""
    path = Path(path)
    with replacing(path) as part:
        part.write_text(hits_json(result, warnings) + "\n", encoding="utf-8")
    return path


def safe_cell(text: str) -> str:
    """Words as a spreadsheet shows them and never computes them."""
    return f"'{text}" if text.lstrip(" \u00a0\ufeff\0").startswith(_FORMULA) else text


def _row(hit: Hit, result: SearchResult) -> dict[str, Any]:
    case, base = hit.case, result.base
    return {
        "rank": hit.rank,
        "case_id": case.case_id,
        "diagnosis": case.diagnosis,
        "fine_diagnosis": case.fine_diagnosis,
        "score": round(hit.score, 6),
        "local": round(hit.local, 6),
        "global": round(hit.global_, 6),
        "shared_criteria": _phrases(hit.shared_criteria),
        "differing_criteria": _phrases(hit.differing_criteria),
        "lesion_id": case.lesion_id,
        "sex": case.sex,
        "age": case.age,
        "site": case.site,
        "elevation": case.elevation,
        "source": case.source,
        "date": case.date,
        "local_weight": result.local_weight,
        "base": base.uri,
        "base_version": base.version,
        "model": base.model_name,
        "model_hash": base.model_hash,
        "notice": RESEARCH_USE,
    }


def _phrases(criteria: Mapping[str, str]) -> str:
    return "; ".join(term_phrase(name, value) for name, value in criteria.items())
