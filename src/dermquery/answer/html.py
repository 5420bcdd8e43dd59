"""The result sheet: one HTML file that holds everything it shows, to be read, printed and filed."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image

from dermquery.answer.content import Warned, report_content
from dermquery.answer.formats import ReportFormat
from dermquery.answer.language import said
from dermquery.answer.overlay import small_picture
from dermquery.answer.rendering import environment_of
from dermquery.data.files import replacing
from dermquery.data.image import ImageError
from dermquery.store.hits import Hit, SearchResult

__all__ = ["HTML", "Picture", "html_sheet", "write_html"]

_QUERY_SIDE, _HIT_SIDE, _QUALITY = 640, 420, 86


@dataclass(frozen=True)
class Picture:
    """An image as it is embedded.

    Attributes:
        uri: JPEG as a data URI; None if the image cannot be read.
        problem: why not.
        overlay: evidence as a transparent PNG of the same aspect, laid over the image.
    """

    uri: str | None = None
    problem: str | None = None
    overlay: str | None = None


def write_html(
    result: SearchResult,
    path: str | Path,
    *,
    warnings: Sequence[Warned] = (),
    notice: str | None = None,
    created: datetime | None = None,
) -> Path:
    """Write a search result as one self-contained HTML file.

    Images are embedded as JPEG thumbnails, without the metadata of their files. The file loads nothing and runs
    nothing: its content security policy allows its own style sheet and embedded images only. An image that cannot be
    read any more leaves a remark in its place.

    Args:
        result: what to show.
        path: written whole or not at all; parent folders are made.
        warnings: about the query, shown on top.
        notice: a line on top, for example "These cases are synthetic.".
        created: time shown on the sheet; now if not given.

    Returns:
        The path.
    """
    path = Path(path)
    sheet = html_sheet(result, warnings=warnings, notice=notice, created=created)
    with replacing(path) as part:
        part.write_text(sheet, encoding="utf-8")
    return path


def html_sheet(
    result: SearchResult,
    *,
    warnings: Sequence[Warned] = (),
    notice: str | None = None,
    created: datetime | None = None,
) -> str:
    """What :func:`write_html` writes."""
    environment = environment_of("dermquery.answer")
    content = report_content(result, warnings=warnings, notice=notice, created=created)
    classes = {share.diagnosis: f"tone-{i}" for i, share in enumerate(content.shares)}
    style = environment.get_template("sheet.css.j2").render(
        tones=[(classes[share.diagnosis], share.tone) for share in content.shares]
    )
    return environment.get_template("sheet.html.j2").render(
        style=_Verbatim(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        content=content,
        picture=None if result.query.image is None else _picture(result, None, _QUERY_SIDE),
        pictures=[_picture(result, hit, _HIT_SIDE) for hit in result.hits],
        classes=classes,
    )


class _Verbatim(str):
    """The style sheet: made of our own template and colours only, and hashed in the policy byte by byte."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def _picture(result: SearchResult, hit: Hit | None, side: int) -> Picture:
    try:
        image, veil = small_picture(result, hit, side)
    except ImageError as error:
        return Picture(problem=said(str(error)))
    return Picture(
        uri=_data_uri(image, "JPEG", quality=_QUALITY, optimize=True),
        overlay=None if veil is None else _data_uri(veil, "PNG", optimize=True),
    )


def _data_uri(image: Image.Image, format: str, **options: Any) -> str:  # noqa: A002 - PIL's own name for it
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _file(result: SearchResult, warnings: Sequence[Warned], notice: str | None) -> bytes:
    return html_sheet(result, warnings=warnings, notice=notice).encode()


HTML = ReportFormat("text/html; charset=utf-8", _file, explained=True)
