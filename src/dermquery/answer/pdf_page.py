"""What the PDF report is written on: fonts, colours, words, bars and pictures; nothing of content."""

from __future__ import annotations

import io
import os
import unicodedata
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib
from fpdf import FPDF
from fpdf.enums import MethodReturnValue, XPos, YPos
from fpdf.util import Padding
from PIL import Image

from dermquery.answer.language import _

__all__ = ["BAD", "GOOD", "INK", "PALE", "SOFT", "STRONG", "WELL", "ReportPage", "printable"]

INK, SOFT, LINE, WELL = "#182026", "#58646e", "#d9dfe4", "#e9edf0"
STRONG, PALE, GOOD, BAD = "#3c5668", "#a3b6c3", "#1d6b4f", "#7d6843"
_FAMILY, _FALLBACK = "DejaVu", "further"
_MARGIN, _FOOT = 15.0, 16.0
_JPEG_QUALITY = 86
_PAGES = "\ue000\ue000\ue000"
"""Stands for the number of pages; it cannot occur in the text of a case, which is cleaned of private characters."""
_POINT = 25.4 / 72
_LEADING = 1.32


def _add_fallback(page: FPDF) -> Collection[int]:
    """Add the font that ``DERMQUERY_PDF_FONT`` names, if it does; returns the characters that it has.

    Raises:
        ValueError: it is no font that can be embedded.
    """
    named = os.environ.get("DERMQUERY_PDF_FONT")
    if not named:
        return ()
    try:
        page.add_font(_FALLBACK, "", named)
        page.add_font(_FALLBACK, "B", named)
    except Exception as error:  # fontTools raises nearly every built-in type for a file that is no font
        raise ValueError(
            f"DERMQUERY_PDF_FONT={named} cannot be used ({error}); name a TrueType font, or leave it out"
        ) from error
    page.set_fallback_fonts([_FALLBACK], exact_match=False)
    return _signs(page, _FALLBACK)


def _signs(page: FPDF, font: str) -> Collection[int]:
    """The characters that an embedded font has, by their numbers."""
    held: Collection[int] = getattr(page.fonts[font], "cmap", ())
    return held


def printable(text: str) -> str:
    """Text without control characters, lone surrogates and private characters; each becomes U+FFFD, tabs a space."""
    kept = []
    for sign in text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " "):
        strange = sign != "\n" and unicodedata.category(sign) in {"Cc", "Cs", "Co", "Cn"}
        kept.append("\ufffd" if strange else sign)
    return "".join(kept)


class ReportPage(FPDF):
    """A4 in millimetres; text is plain, whatever it contains.

    A character that the fonts lack is written as its Unicode number, ``[9ED1]``: a blank would make two diagnoses one.
    ``DERMQUERY_PDF_FONT`` names a further TrueType font, such as Noto Sans SC, which is too large to come along.

    Args:
        foot: left part of every page's foot.
        title: of the document.
        language: its code.
        producer: the program.
        created: time in the metadata.
    """

    def __init__(self, foot: str, *, title: str, language: str, producer: str, created: datetime) -> None:
        super().__init__(format="A4", unit="mm")
        self._foot = foot
        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        self.add_font(_FAMILY, "", fonts / "DejaVuSans.ttf")
        self.add_font(_FAMILY, "B", fonts / "DejaVuSans-Bold.ttf")
        self._fallback = _add_fallback(self)
        self.lacking: set[str] = set()
        self.set_margins(_MARGIN, _MARGIN, _MARGIN)
        self.set_auto_page_break(auto=True, margin=_FOOT + 4)
        self.c_margin = 0.0
        self.alias_nb_pages(_PAGES)
        self.set_title(title)
        self.set_creator(producer)
        self.set_producer("fpdf2")
        self.set_lang(language)
        self.set_creation_date(created)
        self.add_page()

    @property
    def left(self) -> float:
        """Where the text begins."""
        return _MARGIN

    @property
    def inner(self) -> float:
        """Width between the margins."""
        return float(self.w) - 2 * _MARGIN

    @property
    def bottom(self) -> float:
        """Where the text must end."""
        return float(self.page_break_trigger)

    def footer(self) -> None:
        """FPDF calls this for every page."""
        self.set_y(-_FOOT)
        self.rule()
        self.set_y(-_FOOT + 2)
        self._style(7.5, SOFT, bold=True)
        self.cell(self.inner * 0.8, 4, self._foot)
        self._style(7.5, SOFT)
        self.cell(0, 4, f"Page {self.page_no()} of {_PAGES}", align="R")

    def room(self, height: float) -> None:
        """Begin a new page if less than this is left on this one."""
        if self.get_y() + height > self.bottom:
            self.add_page()

    def rule(self) -> None:
        """A line from margin to margin."""
        self.set_draw_color(LINE)
        self.set_line_width(0.2)
        self.line(_MARGIN, self.get_y(), self.w - _MARGIN, self.get_y())

    def heading(self, text: str) -> None:
        """Title of a section."""
        self.set_x(self.left)
        self.words(text, 11, bold=True)
        self.ln(1.5)

    def words(
        self,
        text: str,
        size: float = 8.5,
        colour: str = INK,
        *,
        x: float | None = None,
        width: float | None = None,
        bold: bool = False,
        right: bool = False,
        fill: str | None = None,
        padding: float = 0.0,
        link: str = "",
    ) -> None:
        """Write a paragraph, wrapped to its width, from the present height on; long words are broken."""
        self._style(size, colour, bold=bold)
        x = self.left if x is None else x
        self.set_x(x)
        if fill is not None:
            self.set_fill_color(fill)
        self.multi_cell(
            self.left + self.inner - x if width is None else width,
            size * _POINT * _LEADING,
            self._covered(printable(text), bold=bold),
            align="R" if right else "L",
            fill=fill is not None,
            padding=Padding(padding, padding, padding, padding),
            link=link,
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
        )

    def row(self, cells: list[tuple[float, float, str, str]], size: float = 7.5, *, bold: bool = False) -> None:
        """Write cells (x, width, text, colour) that begin at one height; the row ends below the longest."""
        top, end = self.get_y(), 0.0
        for x, width, text, colour in cells:
            self.set_y(top)
            self.words(text, size, colour, x=x, width=width, bold=bold)
            end = max(end, self.get_y())
        self.set_y(end)

    def height(self, text: str, size: float, width: float, *, bold: bool = False) -> float:
        """How high a paragraph would be."""
        self._style(size, INK, bold=bold)
        found = self.multi_cell(
            width,
            size * _POINT * _LEADING,
            self._covered(printable(text), bold=bold),
            align="L",
            dry_run=True,
            output=MethodReturnValue.HEIGHT,
        )
        return float(found)  # type: ignore[arg-type]

    def bar(self, x: float, y: float, width: float, share: float, colour: str, height: float = 1.6) -> None:
        """A bar whose filled part is ``share`` of it, between nothing and all."""
        self.block(x, y, width, height, WELL)
        if share > 0:
            self.block(x, y, width * min(share, 1.0), height, colour)

    def block(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle."""
        self.set_fill_color(colour)
        self.rect(x, y, width, height, style="F")

    def picture(self, x: float, y: float, side: float, image: Image.Image | None, alt: str) -> None:
        """An image whole in a square, or the remark that it cannot be shown."""
        self.block(x, y, side, side, WELL)
        if image is None:
            here = self.get_y()
            self.set_y(y + side / 2 - 2)
            self.words(_("Image not available"), 7, SOFT, x=x + side / 2 - 14, width=28)
            self.set_y(here)
            return
        scale = side / max(image.size)
        width, height = image.width * scale, image.height * scale
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
        buffer.seek(0)
        place: dict[str, Any] = {"x": x + (side - width) / 2, "y": y + (side - height) / 2, "w": width, "h": height}
        self.image(buffer, alt_text=printable(alt), **place)

    def _covered(self, text: str, *, bold: bool = False) -> str:
        """Text with a number in place of each character that no font has; invisible ones are left out."""
        there = _signs(self, f"{_FAMILY.lower()}{'B' if bold else ''}")
        return "".join(
            sign if sign == "\n" or ord(sign) in there or ord(sign) in self._fallback else self._number(sign)
            for sign in text
        )

    def _number(self, sign: str) -> str:
        category = unicodedata.category(sign)
        if category[0] == "Z":
            return " "
        if category == "Cf" or "VARIATION SELECTOR" in unicodedata.name(sign, ""):
            return ""
        self.lacking.add(sign)
        return f"[{ord(sign):04X}]"

    def _style(self, size: float, colour: str, *, bold: bool = False) -> None:
        self.set_font(_FAMILY, "B" if bold else "", size)
        self.set_text_color(colour)
