"""The result sheet: one HTML file that holds everything it shows, to be read, printed and filed."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from dermquery.answer.content import Warned, report_content
from dermquery.answer.overlay import of_hit, of_query
from dermquery.answer.png import write_png
from dermquery.answer.words import tones
from dermquery.data.files import replacing
from dermquery.data.image import ImageError, ImageSource, load_image
from dermquery.store.hits import SearchResult

__all__ = ["Picture", "write_html", "write_png"]

_QUERY_SIDE, _HIT_SIDE, _QUALITY = 640, 420, 86
_VEIL_SIDE = 160
"""Evidence is far coarser than an image."""


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
    environment = Environment(
        loader=PackageLoader("dermquery.answer"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["bar"] = _bar
    palette = tones([*result.base.diagnoses, *result.diagnoses])
    classes = {name: f"tone-{i}" for i, name in enumerate(sorted(palette, key=str))}
    style = environment.get_template("sheet.css.j2").render(
        tones=[(classes[name], tone) for name, tone in palette.items()]
    )
    of_the_query, of_the_hits = _pictures(result)
    html = environment.get_template("sheet.html.j2").render(
        style=_Verbatim(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        content=report_content(result, warnings=warnings, notice=notice, created=created),
        picture=of_the_query,
        pictures=of_the_hits,
        classes=classes,
        explained=bool(result.evidence),
    )
    with replacing(path) as part:
        part.write_text(html, encoding="utf-8")
    return path


class _Verbatim(str):
    """The style sheet: made of our own template and colours only, and hashed in the policy byte by byte."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def _pictures(result: SearchResult) -> tuple[Picture | None, list[Picture]]:
    """The query's image, if it has one, and the hits' in their order."""
    query = result.query.image
    shown = None if query is None else _picture(query, _QUERY_SIDE, partial(of_query, result))
    return shown, [_picture(result.picture(hit), _HIT_SIDE, partial(of_hit, result, hit.rank)) for hit in result.hits]


def _bar(value: float) -> str:
    """Length of a similarity's bar in per cent; below zero there is none."""
    return f"{100 * min(max(value, 0.0), 1.0):.1f}"


def _picture(source: ImageSource, side: int, veil: Callable[[tuple[int, int], int], Image.Image | None]) -> Picture:
    try:
        image = load_image(source)
    except ImageError as error:
        return Picture(problem=str(error))
    overlay = veil(image.size, _VEIL_SIDE)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return Picture(
        uri=_data_uri(image, "JPEG", quality=_QUALITY, optimize=True),
        overlay=None if overlay is None else _data_uri(overlay, "PNG", optimize=True),
    )


def _data_uri(image: Image.Image, format: str, **options: Any) -> str:  # noqa: A002 - PIL's own name for it
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
