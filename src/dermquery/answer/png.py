"""The result as one picture: the query on the left, its five most similar cases on the right."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from dermquery.answer.content import Content, HitContent, QueryContent, Warned, report_content
from dermquery.answer.formats import ReportFormat
from dermquery.answer.language import _, number
from dermquery.answer.overlay import lit_picture
from dermquery.answer.words import upper_first
from dermquery.data.files import replacing
from dermquery.store.hits import SearchResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PNG", "draw", "write_png"]

_WIDTH, _MIN_HEIGHT, _DPI = 1600, 600, 120
_PIXELS = 640
"""Longer side of an image that is put on it."""
_SHOWN = 5
_LEFT, _SIDE, _TOP = 36, 308, 104
_RIGHT, _GAP = 400, 22
_FRAME, _PIXELS_PER_POINT = 4, 100 / 72
_COLUMN = (_WIDTH - _LEFT - _RIGHT - (_SHOWN - 1) * _GAP) / _SHOWN
_LETTERS = 30
"""Of a line below a hit's image."""
_LONG_TITLE = 16
"""Letters of a diagnosis from which on it is written smaller, to stay in its column."""
_INK, _SOFT, _LINE, _WELL = "#182026", "#58646e", "#d9dfe4", "#e9edf0"
_STRONG, _PALE, _GOOD, _BAD = "#3c5668", "#a3b6c3", "#1d6b4f", "#7d6843"


def write_png(result: SearchResult, path: str | Path, *, notice: str | None = None) -> Path:
    """Write a search result as one PNG of 1920 pixels across, for a slide or a report.

    Args:
        result: what to show; of more than five hits, the first five.
        path: written whole or not at all; parent folders are made.
        notice: a line on top, for example "These cases are synthetic.".

    Returns:
        The path.
    """
    path = Path(path)
    content = _file(result, (), notice)
    with replacing(path) as part:
        part.write_bytes(content)
    return path


def draw(result: SearchResult, notice: str | None = None) -> Figure:
    """The picture as matplotlib has it, before it is written."""
    shown = replace(result, hits=result.hits[:_SHOWN])
    content = report_content(shown, notice=notice)
    canvas = _Canvas()
    _head(canvas, content)
    _query(canvas, content.query, shown)
    for column, item in enumerate(content.hits):
        _hit(canvas, _RIGHT + column * (_COLUMN + _GAP), item, shown)
    if content.no_hits:
        canvas.text(_RIGHT, _TOP + 20, content.no_hits, 12, _SOFT)
    _foot(canvas, max(canvas.lowest + 28, _MIN_HEIGHT - 48), content, result)
    return canvas.figure()


class _Canvas:
    """A page 1600 pixels wide, the origin at the top left, whose height follows from what is put on it.

    Attributes:
        lowest: where the lowest thing on it ends.
    """

    def __init__(self) -> None:
        self.lowest = 0.0
        self._drawings: list[Callable[[Figure, float], object]] = []

    def figure(self) -> Figure:
        """Draw everything."""
        from matplotlib.figure import Figure  # not pyplot: no global state, no display

        height = self.lowest + 14
        figure = Figure(figsize=(_WIDTH / 100, height / 100), dpi=_DPI, facecolor="white")
        for draw in self._drawings:
            draw(figure, height)
        return figure

    def text(self, x: float, y: float, words: str, size: float, colour: str = _INK, **style: Any) -> None:
        """Write one line whose capitals have their top at y; a dollar sign is a dollar sign."""
        words, base = _covered(words), y + 0.73 * size * _PIXELS_PER_POINT
        style = {"parse_math": False, "fontsize": size, "color": colour, **style}
        self._drawings.append(lambda figure, height: figure.text(x / _WIDTH, 1 - base / height, words, **style))
        self.lowest = max(self.lowest, base + 0.25 * size)

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Fill a rectangle."""
        from matplotlib.patches import Rectangle

        def draw(figure: Figure, page: float) -> None:
            corner, size = (x / _WIDTH, 1 - (y + height) / page), (width / _WIDTH, height / page)
            figure.add_artist(Rectangle(corner, *size, transform=figure.transFigure, facecolor=colour, linewidth=0))

        self._drawings.append(draw)
        self.lowest = max(self.lowest, y + height)

    def image(self, x: float, y: float, side: float, picture: Image.Image | None) -> None:
        """Show an image whole in a square, or say that it is not available."""
        self.box(x, y, side, side, _WELL)
        if picture is None:
            self.text(x + side / 2, y + side / 2 - 5, _("Image not available"), 9, _SOFT, ha="center")
            return
        scale = side / max(picture.size)
        width, height = picture.width * scale, picture.height * scale
        left, top = x + (side - width) / 2, y + (side - height) / 2

        def draw(figure: Figure, page: float) -> None:
            place = (left / _WIDTH, 1 - (top + height) / page, width / _WIDTH, height / page)
            axes = figure.add_axes(place, zorder=2)
            axes.imshow(picture, aspect="auto", interpolation="lanczos")
            axes.set_axis_off()

        self._drawings.append(draw)

    def lines(self, x: float, y: float, paragraphs: Iterable[str], width: int, size: float, colour: str) -> float:
        """Write wrapped paragraphs of at most ``width`` characters a line; returns where the next may start."""
        for paragraph in paragraphs:
            for line in textwrap.wrap(_covered(paragraph), width) or [""]:
                self.text(x, y, line, size, colour)
                y += size * 1.95
            y += size * 0.35
        return y


@cache
def _signs() -> Collection[int]:
    """The characters that matplotlib's own font has."""
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def _covered(text: str) -> str:
    """The text with what the font lacks by its number, as in the PDF: an empty box says nothing."""
    held = _signs()
    return "".join(c if c == "\n" or ord(c) in held else f"[{ord(c):04X}]" for c in text)


def _head(canvas: _Canvas, content: Content) -> None:
    canvas.text(_LEFT, 30, _("Query"), 15, weight="bold")
    canvas.text(_RIGHT, 30, content.heading, 15, weight="bold")
    canvas.text(_RIGHT, 64, content.formula, 9.5, _SOFT)
    if content.notice:
        place = {"facecolor": "#fff4d6", "edgecolor": "#e9c46a", "boxstyle": "round,pad=0.5"}
        short = textwrap.shorten(content.notice, 70, placeholder=" …")
        canvas.text(_WIDTH - _LEFT - 8, 36, short, 10.5, "#8a5a00", ha="right", weight="bold", bbox=place)


def _query(canvas: _Canvas, query: QueryContent, result: SearchResult) -> None:
    y: float = _TOP
    if result.query.image is not None:
        canvas.image(_LEFT, _TOP, _SIDE, lit_picture(result, None, _PIXELS))
        y += _SIDE + 16
    if query.text:
        y = canvas.lines(_LEFT, y, [f"“{textwrap.shorten(query.text, 150, placeholder=' …')}”"], 44, 10, _INK) + 4
    for term in query.terms:
        canvas.text(_LEFT, y, upper_first(f"{term.title}: {term.value}"), 9.5, _INK)
        canvas.text(_LEFT + _SIDE, y, f"+{term.points}" if term.points else "", 9.5, _SOFT, ha="right")
        y += 20
    if query.score is not None:
        canvas.box(_LEFT, y + 3, _SIDE, 1, _LINE)
        canvas.text(_LEFT, y + 10, _("Seven-point score"), 9.5, weight="bold")
        canvas.text(_LEFT + _SIDE, y + 10, str(query.score), 9.5, weight="bold", ha="right")
        y = canvas.lines(_LEFT, y + 34, [query.score_hint], 46, 8.5, _SOFT) + 8
    if query.conditions:
        canvas.lines(_LEFT, y, [textwrap.shorten(query.conditions, 130, placeholder=" …")], 50, 9, _SOFT)


def _hit(canvas: _Canvas, x: float, item: HitContent, result: SearchResult) -> None:
    canvas.box(x, _TOP, _COLUMN, _COLUMN, item.tone.light)
    canvas.image(x + _FRAME, _TOP + _FRAME, _COLUMN - 2 * _FRAME, lit_picture(result, item.hit, _PIXELS))
    y = _TOP + _COLUMN + 18
    canvas.box(x, y, 11, 11, item.tone.light)
    title = textwrap.shorten(item.title, 24, placeholder=" …")
    size = 11.5 if len(title) < _LONG_TITLE else 8.5
    canvas.text(x + 18, y, f"{item.hit.rank}  {title}", size, weight="bold")
    y += 25
    if item.fine:
        canvas.text(x + 18, y, textwrap.shorten(item.fine, 30, placeholder=" …"), 8.5, _SOFT)
    y += 27
    canvas.text(x, y, item.score.words, 17, weight="bold")
    y += 32
    for row, part in enumerate(item.parts):
        left, length = x + 66, _COLUMN - 66 - 62
        canvas.text(x, y, _(part.name), 8, _SOFT)
        canvas.box(left, y + 2, length, 5, _WELL)
        canvas.box(left, y + 2, length * part.bar, 5, _PALE if row else _STRONG)
        canvas.text(x + _COLUMN, y, part.percent or part.words, 8, _SOFT, ha="right")
        y += 16
    y += 8
    y = canvas.lines(x, y, [f"✓ {phrase}" for phrase in item.shared], _LETTERS, 8.5, _GOOD)
    y = canvas.lines(x, y, [f"≠ {phrase}" for phrase, _asked in item.differing], _LETTERS, 8.5, _BAD)
    y = canvas.lines(x, y, [f"? {phrase}" for phrase in item.likely], _LETTERS, 8.5, _SOFT)
    about = [
        part for part in (item.hit.case.case_id, item.about, item.same_image, item.trained_on, item.origin) if part
    ]
    canvas.lines(x, y + (6 if item.shared or item.differing or item.likely else 0), about, _LETTERS, 8.5, _SOFT)


def _foot(canvas: _Canvas, y: float, content: Content, result: SearchResult) -> None:
    canvas.box(_LEFT, y, _WIDTH - 2 * _LEFT, 1, _LINE)
    canvas.text(_LEFT, y + 16, content.research_use, 10, weight="bold")
    source = _("model %(model)s (%(hash)s), %(count)s cases in the base") % {
        "model": textwrap.shorten(result.base.model_name, 40, placeholder=" …"),
        "hash": result.base.model_hash[:12],
        "count": number(result.base.count),
    }
    canvas.text(_WIDTH - _LEFT, y + 16, source, 9, _SOFT, ha="right")
    canvas.lines(_LEFT, y + 42, filter(None, (content.scale, content.evidence)), 190, 9, _SOFT)


def _file(result: SearchResult, _warnings: Sequence[Warned], notice: str | None) -> bytes:
    buffer = io.BytesIO()
    draw(result, notice).savefig(buffer, format="png", metadata={"Software": "dermquery"})
    return buffer.getvalue()


PNG = ReportFormat("image/png", _file, explained=True)
