"""The hits as files for other programs: CSV that a spreadsheet can open without harm, and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dermquery.answer.content import HitContent, Warned, report_content
from dermquery.answer.formats import ReportFormat
from dermquery.answer.language import ENGLISH, speaking
from dermquery.answer.words import TITLES
from dermquery.data.case import CASE_FIELDS
from dermquery.data.checklist import CRITERIA
from dermquery.model.presets import written
from dermquery.store.hits import RESEARCH_USE, SearchResult

__all__ = ["COLUMNS", "CSV", "JSON", "hits_csv", "hits_json", "safe_cell"]

_FIRST = ("diagnosis", "fine_diagnosis")
_PARTS = ("meaning", "findings", "look")
_LEFT_OUT = ("patient_id", "text", "study_uid", "series_uid", "instance_uid")
COLUMNS = (
    "rank", "case_id", *_FIRST, "score", *_PARTS, "meaning_closer_than", "look_closer_than", "local", "global",
    "same_image", "same_photograph", "trained_on", "shared_criteria", "differing_criteria", "likely_criteria",
    *(name for name in CASE_FIELDS if name in TITLES and name not in (*_FIRST, *_LEFT_OUT)),
    *CRITERIA, *(f"query_{name}" for name in CRITERIA),
    "preset", "weights", "local_weight", "base", "base_version", "model", "model_hash", "notice",
)  # fmt: skip
"""Every row says what was asked and which base and model it comes from, because rows get copied into other tables.
Patient ids, the UIDs of an archive, free text and extra columns are left out; JSON has them."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def hits_csv(result: SearchResult) -> str:
    """The hits as CSV (RFC 4180) with a header, one row a hit.

    A cell of words that a spreadsheet would read as a formula, because it begins with ``=``, ``+``, ``-``, ``@``, a tab
    or a line break, gets an apostrophe before it (OWASP, CSV injection). Numbers are written with a decimal point.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\r\n", extrasaction="ignore")
    writer.writeheader()
    with speaking(ENGLISH):  # other programs read it, whoever asks for it
        rows = [_row(item, result) for item in report_content(result).hits]
    for row in rows:
        writer.writerow({name: safe_cell(v) if isinstance(v, str) else v for name, v in row.items()})
    return buffer.getvalue()


def hits_json(result: SearchResult, warnings: Sequence[Warned] = ()) -> str:
    """The whole answer as JSON, with the warnings about its query. Images are named without their folders."""
    said = [{"kind": warning.kind, "message": warning.message} for warning in warnings]
    answer = result.to_dict()
    for hit in answer["hits"]:
        hit["case"]["image"] = Path(hit["case"]["image"]).name
    return json.dumps({**answer, "warnings": said}, indent=2, ensure_ascii=False)


def safe_cell(text: str) -> str:
    """Words as a spreadsheet shows them and never computes them."""
    return f"'{text}" if text.lstrip(" \u00a0\ufeff\0").startswith(_FORMULA) else text


def _row(item: HitContent, result: SearchResult) -> dict[str, Any]:
    hit, base = item.hit, result.base
    return {
        **{fact.name: fact.value for fact in item.facts},
        "rank": hit.rank,
        "case_id": hit.case.case_id,
        "score": round(hit.score, 6),
        **{name: None if value is None else round(value, 6) for name, value in hit.parts.items()},
        **{f"{name}_closer_than": round(share, 6) for name, share in hit.closer_than.items()},
        "local": round(hit.local, 6),
        "global": round(hit.global_, 6),
        "same_image": hit.same_image,
        "same_photograph": hit.same_photograph,
        "trained_on": hit.trained_on,
        "shared_criteria": "; ".join(item.shared),
        "differing_criteria": "; ".join(phrase for phrase, _ in item.differing),
        "likely_criteria": "; ".join(item.likely),
        **hit.case.checklist,
        **{f"query_{name}": value for name, value in result.terms.items()},
        "preset": result.preset,
        "weights": written(result.weights),
        "local_weight": result.local_weight,
        "base": base.name,
        "base_version": base.version,
        "model": base.model_name,
        "model_hash": base.model_hash,
        "notice": RESEARCH_USE,
    }


def _csv(result: SearchResult, _warnings: Sequence[Warned], _notice: str | None) -> bytes:
    return hits_csv(result).encode("utf-8-sig")  # Excel recognises UTF-8 by its byte order mark


def _json(result: SearchResult, warnings: Sequence[Warned], _notice: str | None) -> bytes:
    return f"{hits_json(result, warnings)}\n".encode()


CSV = ReportFormat("text/csv; charset=utf-8", _csv)
JSON = ReportFormat("application/json", _json)
