"""The answer as a PDF to take away: A4, with everything that the page shows, readable without this program.

Text is laid out as plain text; nothing in it is ever markup. The font is DejaVu Sans, which comes with matplotlib, may
be embedded, and covers Latin, Greek and Cyrillic; of other scripts the Unicode numbers are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from dermquery.answer.content import Comparison, Content, HitContent, Warned, report_content
from dermquery.answer.formats import ReportFormat
from dermquery.answer.language import _, number
from dermquery.answer.overlay import lit_picture
from dermquery.answer.pdf_page import BAD, GOOD, INK, PALE, SOFT, STRONG, ReportPage
from dermquery.answer.words import upper_first
from dermquery.data.files import replacing
from dermquery.store.hits import SearchResult

__all__ = ["PDF", "write_pdf"]

_PIXELS = 560
"""Longer side of an embedded image: about 300 dots per inch in the size that a hit is printed in."""
_QUERY_SIDE, _HIT_SIDE, _GAP = 62.0, 44.0, 6.0
_HIT_ROOM = 58.0
_LONGEST = 400
"""Characters of one thing that is said beside a hit's image."""
_MARKS = {True: ("✓", GOOD), False: ("≠", BAD), None: ("", SOFT)}
_NOTICE, _WARNING = ("#fff4d6", "#8a5a00"), ("#fbe6e3", "#8c2018")


def write_pdf(
    result: SearchResult,
    target: str | Path | BinaryIO,
    *,
    warnings: Sequence[Warned] = (),
    notice: str | None = None,
    created: datetime | None = None,
) -> None:
    """Write a search result as an A4 PDF.

    Images are embedded as JPEG without the metadata of their files, under their evidence if the result was explained.
    An image that cannot be read any more leaves a remark in its place.

    Args:
        result: what to show.
        target: a path, written whole or not at all, or an open binary file.
        warnings: about the query, shown on top.
        notice: a line on top, for example "These cases are synthetic.".
        created: time shown in the report; now if not given.
    """
    content = report_content(result, warnings=warnings, notice=notice, created=created)
    foot = f"{content.research_use} {content.no_diagnosis}"
    program, made = f"dermquery {content.version}", created or datetime.now(UTC)
    page = ReportPage(
        foot,
        title=_("Similar cases"),
        language=content.language,
        producer=program,
        created=made,
    )
    _head(page, content)
    _query(page, content, result)
    _hits(page, content, result)
    _shares(page, content)
    _source(page, content)
    written = bytes(page.output())
    if isinstance(target, str | Path):
        with replacing(Path(target)) as part:
            part.write_bytes(written)
    else:
        target.write(written)


def _head(page: ReportPage, content: Content) -> None:
    page.words(content.heading, 16, bold=True)
    page.ln(0.8)
    page.words(f"{content.research_use} · dermquery {content.version} · {content.when}", 8, SOFT)
    page.ln(2)
    boxes = [(content.notice, _NOTICE)] if content.notice else []
    for words, (ground, ink) in [*boxes, *((warning, _WARNING) for warning in content.warnings)]:
        page.words(words, 8.5, ink, fill=ground, padding=1.6)
        page.ln(1.2)
    page.ln(1.5)


def _query(page: ReportPage, content: Content, result: SearchResult) -> None:
    query, with_image = content.query, result.query.image is not None
    page.heading(_("Query"))
    top, beside = page.get_y(), page.left
    if with_image:
        image = lit_picture(result, None, _PIXELS)
        page.picture(page.left, top, _QUERY_SIDE, image, _("Dermoscopic image of the query"))
        beside += _QUERY_SIDE + _GAP
    page.set_y(top)
    for term in query.terms:
        points = f"+{term.points}" if term.points else ""
        width = page.left + page.inner - beside
        page.row(
            [
                (beside, width * 0.46, upper_first(term.title), INK),
                (beside + width * 0.46, width * 0.44, term.value, INK),
                (beside + width * 0.9, width * 0.1, points, SOFT),
            ],
            8.5,
        )
        page.ln(0.8)
    if query.score is not None:
        page.words(f"{_('Seven-point score')} {query.score}", 8.5, x=beside, bold=True)
        page.words(query.score_hint, 7.5, SOFT, x=beside)
        page.ln(1.5)
    for said in filter(None, (content.formula, content.scale)):
        page.words(said, 7.5, SOFT, x=beside)
    if content.evidence:
        page.words(content.evidence, 7.5, SOFT, x=beside)
    if with_image:
        page.set_y(max(page.get_y(), top + _QUERY_SIDE))
    page.ln(2)
    # Free text may be long: it goes below the image, where it can run over pages.
    if query.text:
        page.words(f"“{query.text}”", 9)
    for note in query.notes:
        page.words(note, 8, SOFT)
    if query.conditions:
        page.words(query.conditions, 8, SOFT)
    page.ln(3)


def _hits(page: ReportPage, content: Content, result: SearchResult) -> None:
    page.room(_HIT_ROOM + 8)
    page.heading(_("Most similar first") if content.hits else _("Hits"))
    if content.no_hits:
        page.words(content.no_hits, 9, SOFT)
        page.ln(3)
    for item in content.hits:
        image = lit_picture(result, item.hit, _PIXELS)
        page.room(max(_HIT_SIDE, _height(page, item)) + 4)
        top = page.get_y()
        page.rule()
        page.set_y(top + 2)
        _hit(page, item, image)
        page.set_y(max(page.get_y(), top + _HIT_SIDE + 2) + 2)


def _lines(item: HitContent) -> list[tuple[str, float, str, bool]]:
    """Text, size, colour and weight of what stands beside a hit's image, shortened so that a page holds it."""
    hit = item.hit
    name = f"{hit.rank}  {_short(item.title, 80)}" + (f" ({_short(item.label, 40)})" if item.label else "")
    about = [_short(hit.case.case_id, 80), _short(item.about, 120), item.seven_point]
    said = [(item.same_image, 8.0, INK, True), (item.trained_on, 8.0, SOFT, False), (item.fine, 8.0, SOFT, False)]
    said += [(" · ".join(part for part in about if part), 7.5, SOFT, False), (item.origin, 7.0, SOFT, False)]
    shown = [(_short(text, _LONGEST), size, colour, bold) for text, size, colour, bold in said if text]
    return [(name, 10.5, INK, True), *shown]


def _columns(page: ReportPage) -> tuple[float, float]:
    """Where the text beside a hit's image begins, and its width."""
    x = page.left + _HIT_SIDE + _GAP
    return x, page.left + page.inner - x


def _height(page: ReportPage, item: HitContent) -> float:
    width = _columns(page)[1]
    words = sum(page.height(text, size, width, bold=bold) for text, size, _colour, bold in _lines(item))
    cells = [max(page.height(value or "–", 7.0, width * 0.3) for value in (c.asked, c.case_words)) for c in _said(item)]
    return words + sum(cells) + (20 if item.hit.viewer else 16)


def _said(item: HitContent) -> list[Comparison]:
    """The criteria of which query or case say something."""
    return [row for row in item.criteria if row.asked or row.held]


def _hit(page: ReportPage, item: HitContent, image: Image.Image | None) -> None:
    top = page.get_y()
    page.block(page.left - 2.5, top, 1.5, _HIT_SIDE, item.tone.light)
    page.picture(page.left, top, _HIT_SIDE, image, item.alt)
    x, width = _columns(page)
    page.set_y(top)
    for text, size, colour, bold in _lines(item):
        page.words(text, size, colour, x=x, width=width, bold=bold)
    if item.hit.viewer:
        page.words(_("Open in viewer"), 7.5, STRONG, x=x, width=width, link=item.hit.viewer)
    page.ln(1.2)
    y = page.get_y()
    page.words(item.score.words, 12, x=x, width=20, bold=True)
    end = page.get_y()
    for row, part in enumerate(item.parts):
        offset = 3.2 * row
        page.set_y(y + offset)
        page.words(_(part.name), 7, SOFT, x=x + 22, width=14)
        page.bar(x + 36, y + offset + 0.9, width - 36 - 26, part.bar, PALE if row else STRONG)
        page.set_y(y + offset)
        page.words(part.brief, 7, SOFT, x=x + width - 26, width=26, right=True)
    page.set_y(max(end, page.get_y()) + 1)
    _criteria(page, item, x, width)


def _criteria(page: ReportPage, item: HitContent, x: float, width: float) -> None:
    rows = _said(item)
    if not rows:
        return
    at = (x, x + width * 0.34, x + width * 0.64, x + width * 0.95)
    wide = (width * 0.34, width * 0.3, width * 0.3, width * 0.05)
    head = (_("criterion"), _("query"), _("this case"), "")
    page.row([(left, room, word, SOFT) for left, room, word in zip(at, wide, head, strict=True)], 6.5)
    for row in rows:
        mark, colour = _MARKS[row.same]
        words = (row.title, row.asked or "–", row.case_words or "–", mark)
        inks = (INK, INK, INK if row.same is None else colour, colour)
        page.row(
            [(*place, word, ink) for place, word, ink in zip(zip(at, wide, strict=True), words, inks, strict=True)], 7
        )


def _shares(page: ReportPage, content: Content) -> None:
    page.room(24 + 5 * min(len(content.shares), 8))
    page.rule()
    page.ln(3)
    page.heading(_("Diagnoses found, beside the base"))
    x, name, bar = page.left, page.inner * 0.34, page.inner * 0.19
    hits, cases = x + name, x + name + page.inner * 0.33
    n_cases = sum(row.cases for row in content.shares)
    these, everything = _("These %(n)s hits") % {"n": len(content.hits)}, _("All %(n)s cases") % {"n": number(n_cases)}
    page.row([(hits, 60, these, SOFT), (cases, 60, everything, SOFT)], 7.5)
    for row in content.shares:
        page.room(6)
        y = page.get_y()
        page.block(x, y + 0.7, 2.2, 2.2, row.tone.light)
        page.bar(hits, y + 1, bar, row.hit_share, STRONG)
        page.bar(cases, y + 1, bar, row.base_share, PALE)
        room = page.inner * 0.33 - bar - 2
        page.row(
            [
                (x + 4, name - 6, _short(row.title, 60), INK),
                (hits + bar + 1, room, f"{row.hits} ({100 * row.hit_share:.0f} %)", INK),
                (cases + bar + 1, room, f"{number(row.cases)} ({100 * row.base_share:.0f} %)", INK),
            ],
            8,
        )
    page.ln(1)
    page.words(content.no_probability, 7.5, SOFT)
    page.ln(4)


def _source(page: ReportPage, content: Content) -> None:
    page.room(36)
    page.heading(_("Where this comes from"))
    for name, value in content.source:
        page.row([(page.left, 40, name, SOFT), (page.left + 40, page.inner - 40, value, INK)], 8)
    page.ln(2)
    if page.lacking:
        page.words(
            _(
                "%s characters, which the fonts of this file lack, are written as their Unicode numbers in brackets; "
                "the page, JSON and CSV have the characters themselves."
            )
            % len(page.lacking),
            8,
            SOFT,
        )
    page.words(content.research_use, 9, bold=True)
    page.words(content.no_diagnosis, 8, SOFT)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _file(result: SearchResult, warnings: Sequence[Warned], notice: str | None) -> bytes:
    buffer = BytesIO()
    write_pdf(result, buffer, warnings=warnings, notice=notice)
    return buffer.getvalue()


PDF = ReportFormat("application/pdf", _file, explained=True)
