"""A report format: the hits as a table in Markdown, in the words of every other report."""

from __future__ import annotations

from collections.abc import Sequence

from dermquery.answer.content import Warned, report_content
from dermquery.answer.formats import ReportFormat
from dermquery.store.hits import SearchResult

__all__ = ["MARKDOWN"]


def markdown(result: SearchResult, warnings: Sequence[Warned], notice: str | None) -> bytes:
    """The file."""
    content = report_content(result, warnings=warnings, notice=notice)
    rows = [
        f"| {item.hit.rank} | {_plain(item.hit.case.case_id)} | {_plain(item.hit.case.diagnosis or '')} "
        f"| {_plain(item.score.words)} | {_plain(', '.join(item.shared))} |"
        for item in content.hits
    ]
    head = ["| rank | case | diagnosis | score | shared |", "|---|---|---|---|---|"]
    said = [line for line in (content.notice, *content.warnings) if line]
    return "\n".join([*said, "", *head, *rows, "", content.research_use, ""]).encode()


def _plain(text: str) -> str:
    """Without what Markdown or HTML would read as a mark."""
    return "".join(f"&#{ord(sign)};" if sign in "|<>&\\`*_[]\n" else sign for sign in text)


MARKDOWN = ReportFormat("text/markdown; charset=utf-8", markdown)
