"""A result as a notebook shows it: a small table with thumbnails, in the words of every other output."""

from __future__ import annotations

import base64
import io
from html import escape

from PIL import Image

from dermquery.answer.content import HitContent, report_content
from dermquery.answer.language import _, ngettext, number, said
from dermquery.answer.overlay import small_picture
from dermquery.data.image import ImageError
from dermquery.store.hits import Hit, SearchResult

__all__ = ["notebook_html"]

_SIDE, _QUALITY, _SHOWN = 96, 70, 20
_CELL = "padding:4px 8px;vertical-align:middle;text-align:left"


def notebook_html(result: SearchResult) -> str:
    """A table of the first 20 hits with thumbnails of 96 pixels, some 4 kB each; what comes from data is escaped."""
    content = report_content(result)
    parts = list(dict.fromkeys(part.name for item in content.hits for part in item.parts))
    head = "".join(
        f'<th style="{_CELL}">{escape(title)}</th>' for title in ("", "", _("Case"), _("Diagnosis"), _("Score"), *parts)
    )
    rows = "".join(_row(result, item, parts) for item in content.hits[:_SHOWN])
    asked = "" if result.query.image is None else _thumbnail(result, None)
    more = len(content.hits) - _SHOWN
    left = ngettext("and %s more hit", "and %s more hits", more) % number(more) if more > 0 else None
    lines = [content.no_hits, *content.query.notes, left, content.scale, content.research_use]
    below = "".join(f"<div>{escape(line)}</div>" for line in lines if line)
    text = f" {escape(result.query.text)}" if result.query.text else ""
    return f"<div>{asked}{text}</div><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{below}"


def _row(result: SearchResult, item: HitContent, parts: list[str]) -> str:
    hit, shown = item.hit, {part.name: part.brief for part in item.parts}
    words = (
        hit.case.diagnosis or item.title,
        item.score.words,
        *(shown.get(name, "") for name in parts),
    )
    case = "<br>".join(map(escape, filter(None, (hit.case.case_id, item.same_image, item.origin))))
    cells = [str(hit.rank), _thumbnail(result, hit), case, *map(escape, words)]
    return "<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells) + "</tr>"


def _thumbnail(result: SearchResult, hit: Hit | None) -> str:
    try:
        image, _veil = small_picture(result, hit, _SIDE)
    except ImageError as error:
        return f'<span title="{escape(said(str(error)))}">{escape(_("Image not available"))}</span>'
    return f'<img alt="" width="{image.width}" height="{image.height}" src="{_jpeg(image)}">'


def _jpeg(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
