"""The result as one picture: the query on the left, its five most similar cases on the right."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from dermquery.answer.content import no_hits
from dermquery.answer.overlay import of_hit, of_query
from dermquery.answer.words import describe_case, describe_condition, diagnosis_title, term_phrase, tones
from dermquery.data.checklist import CRITERIA, seven_point_score
from dermquery.data.files import replacing
from dermquery.data.image import ImageError, ImageSource, load_image
from dermquery.store.hits import RESEARCH_USE, Hit, SearchResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw", "write_png"]

_WIDTH, _MIN_HEIGHT, _DPI = 1600, 600, 120
_SHOWN = 5
_LEFT, _SIDE, _TOP = 36, 308, 104
_RIGHT, _GAP = 400, 22
_FRAME, _PIXELS_PER_POINT = 4, 100 / 72
_COLUMN = (_WIDTH - _LEFT - _RIGHT - (_SHOWN - 1) * _GAP) / _SHOWN
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
    figure = draw(result, notice)
    with replacing(path) as part:
        figure.savefig(part, format="png", metadata={"Software": "dermquery"})
    return path


def draw(result: SearchResult, notice: str | None = None) -> Figure:
    """The picture as matplotlib has it, before it is written."""
    canvas = _Canvas()
    _head(canvas, result, notice)
    _query(canvas, result)
    palette = tones([*result.base.diagnoses, *result.diagnoses])
    for column, hit in enumerate(result.hits[:_SHOWN]):
        _hit(canvas, _RIGHT + column * (_COLUMN + _GAP), hit, result, palette[hit.case.diagnosis].light)
    if not result.hits:
        canvas.text(_RIGHT, _TOP + 20, no_hits(result), 12, _SOFT)
    _foot(canvas, max(canvas.lowest + 28, _MIN_HEIGHT - 48), result)
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
        base = y + 0.73 * size * _PIXELS_PER_POINT
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

    def image(
        self,
        x: float,
        y: float,
        side: float,
        source: ImageSource,
        veil: Callable[[tuple[int, int], int], Image.Image | None],
    ) -> None:
        """Show an image whole in a square, under its evidence if there is one, or say that it is not available."""
        self.box(x, y, side, side, _WELL)
        try:
            picture = load_image(source)
        except ImageError:
            self.text(x + side / 2, y + side / 2 - 5, "image not available", 9, _SOFT, ha="center")
            return
        overlay = veil(picture.size, 160)
        picture.thumbnail((640, 640), Image.Resampling.LANCZOS)
        if overlay is not None:
            smooth = overlay.resize(picture.size, Image.Resampling.BICUBIC)
            picture = Image.alpha_composite(picture.convert("RGBA"), smooth).convert("RGB")
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
            for line in textwrap.wrap(paragraph, width) or [""]:
                self.text(x, y, line, size, colour)
                y += size * 1.95
            y += size * 0.35
        return y


def _head(canvas: _Canvas, result: SearchResult, notice: str | None) -> None:
    shown = min(len(result.hits), _SHOWN)
    canvas.text(_LEFT, 30, "Query", 15, weight="bold")
    if shown:
        canvas.text(_RIGHT, 30, f"{shown} most similar of {result.n_candidates} cases", 15, weight="bold")
    weight = result.local_weight
    lit = "; bright: where the local similarity comes from" if result.evidence else ""
    canvas.text(_RIGHT, 64, f"score = {weight:g} × local + {1 - weight:g} × global similarity{lit}", 9.5, _SOFT)
    if notice:
        place = {"facecolor": "#fff4d6", "edgecolor": "#e9c46a", "boxstyle": "round,pad=0.5"}
        short = textwrap.shorten(notice, 70, placeholder=" …")
        canvas.text(_WIDTH - _LEFT - 8, 36, short, 10.5, "#8a5a00", ha="right", weight="bold", bbox=place)


def _query(canvas: _Canvas, result: SearchResult) -> None:
    y: float = _TOP
    if result.query.image is not None:
        canvas.image(_LEFT, _TOP, _SIDE, result.query.image, partial(of_query, result))
        y += _SIDE + 16
    words = textwrap.shorten((result.query.text or "").strip(), 150, placeholder=" …")
    if words:
        y = canvas.lines(_LEFT, y, [f"“{words}”"], 44, 10, _INK) + 4
    for name, value in result.terms.items():
        points = CRITERIA[name].points if value in CRITERIA[name].suspicious else 0
        canvas.text(_LEFT, y, term_phrase(name, value).capitalize(), 9.5, _INK)
        canvas.text(_LEFT + _SIDE, y, f"+{points}" if points else "", 9.5, _SOFT, ha="right")
        y += 20
    if result.terms:
        canvas.box(_LEFT, y + 3, _SIDE, 1, _LINE)
        canvas.text(_LEFT, y + 10, "Seven-point score", 9.5, weight="bold")
        canvas.text(_LEFT + _SIDE, y + 10, str(seven_point_score(result.terms)), 9.5, weight="bold", ha="right")
        y += 36
    conditions = "; ".join(describe_condition(result.where.condition))
    if conditions:
        canvas.lines(
            _LEFT, y, [textwrap.shorten(f"Only cases with {conditions}.", 130, placeholder=" …")], 50, 9, _SOFT
        )


def _hit(canvas: _Canvas, x: float, hit: Hit, result: SearchResult, tone: str) -> None:
    case = hit.case
    canvas.box(x, _TOP, _COLUMN, _COLUMN, tone)
    veil = partial(of_hit, result, hit.rank)
    canvas.image(x + _FRAME, _TOP + _FRAME, _COLUMN - 2 * _FRAME, result.picture(hit), veil)
    y = _TOP + _COLUMN + 18
    canvas.box(x, y, 11, 11, tone)
    title = textwrap.shorten(diagnosis_title(case.diagnosis), 24, placeholder=" …")
    canvas.text(x + 18, y, f"{hit.rank}  {title}", 11.5, weight="bold")
    y += 25
    if case.fine_diagnosis and case.fine_diagnosis not in {case.diagnosis, diagnosis_title(case.diagnosis)}:
        canvas.text(x + 18, y, textwrap.shorten(case.fine_diagnosis, 30, placeholder=" …"), 8.5, _SOFT)
    y += 27
    canvas.text(x, y, f"{hit.score:.3f}", 17, weight="bold")
    for offset, name, value, colour in ((3, "local", hit.local, _STRONG), (19, "global", hit.global_, _PALE)):
        left, length = x + 124, _COLUMN - 124 - 44
        canvas.text(x + 80, y + offset, name, 8, _SOFT)
        canvas.box(left, y + offset + 2, length, 5, _WELL)
        canvas.box(left, y + offset + 2, length * min(max(value, 0.0), 1.0), 5, colour)
        canvas.text(x + _COLUMN, y + offset, f"{value:.3f}", 8, _SOFT, ha="right")
    y += 48
    shared = [f"✓ {term_phrase(name, value)}" for name, value in hit.shared_criteria.items()]
    differing = [f"≠ {term_phrase(name, value)}" for name, value in hit.differing_criteria.items()]
    y = canvas.lines(x, y, shared, 36, 8.5, _GOOD)
    y = canvas.lines(x, y, differing, 36, 8.5, _BAD)
    about = " · ".join(describe_case(case))
    canvas.lines(
        x, y + (6 if shared or differing else 0), [part for part in (case.case_id, about) if part], 36, 8.5, _SOFT
    )


def _foot(canvas: _Canvas, y: float, result: SearchResult) -> None:
    canvas.box(_LEFT, y, _WIDTH - 2 * _LEFT, 1, _LINE)
    canvas.text(_LEFT, y + 16, RESEARCH_USE, 10, weight="bold")
    model = textwrap.shorten(result.base.model_name, 40, placeholder=" …")
    source = f"model {model} ({result.base.model_hash[:12]}), {result.base.count} cases in the base"
    canvas.text(_WIDTH - _LEFT, y + 16, source, 9, _SOFT, ha="right")
