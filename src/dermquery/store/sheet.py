"""The result sheet: one HTML file that holds everything it shows, to be read, printed and filed."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from dermquery import __version__
from dermquery.data.checklist import CRITERIA, seven_point_score
from dermquery.data.files import replacing
from dermquery.data.image import ImageError, ImageSource, load_image
from dermquery.store.display import (
    describe_case,
    describe_condition,
    diagnosis_title,
    term_phrase,
    tones,
)
from dermquery.store.hits import RESEARCH_USE, Hit, SearchResult
from dermquery.store.overlay import of_hit, of_query
from dermquery.store.picture import write_png

__all__ = ["Picture", "write_html", "write_png"]

_QUERY_SIDE, _HIT_SIDE, _QUALITY = 640, 420, 86
_VEIL_SIDE = 160
"""Evidence is far coarser than an image."""
_EXCISION = 3
"""Seven-point score from which excision is usually advised (Argenziano et al. 1998)."""


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
    result: SearchResult, path: str | Path, *, notice: str | None = None, created: datetime | None = None
) -> Path:
    """Write a search result as one self-contained HTML file.

    Images are embedded as JPEG thumbnails, without the metadata of their files. The file loads nothing and runs
    nothing: its content security policy allows its own style sheet and embedded images only. An image that cannot be
    read any more leaves a remark in its place.

    Args:
        result: what to show.
        path: written whole or not at all; parent folders are made.
        notice: a line on top, for example "These cases are synthetic.".
        created: time shown on the sheet; now if not given.

    Returns:
        The path.
    """
    path = Path(path)
    environment = Environment(
        loader=PackageLoader("dermquery.store"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    palette = tones([*result.base.diagnoses, *result.diagnoses])
    classes = {name: f"tone-{i}" for i, name in enumerate(sorted(palette, key=str))}
    style = environment.get_template("sheet.css.j2").render(
        tones=[(classes[name], tone) for name, tone in palette.items()]
    )
    # `when` is a local time with its zone: the sheet is filed where it was printed.
    when = (created or datetime.now().astimezone()).strftime("%Y-%m-%d %H:%M %Z").strip()
    html = environment.get_template("sheet.html.j2").render(
        style=_Verbatim(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        notice=notice,
        research_use=RESEARCH_USE,
        when=when,
        version=__version__,
        query=_query(result),
        hits=[_hit(hit, result, classes) for hit in result.hits],
        distribution=_distribution(result, classes),
        result=result,
    )
    with replacing(path) as part:
        part.write_text(html, encoding="utf-8")
    return path


class _Verbatim(str):
    """The style sheet: made of our own template and colours only, and hashed in the policy byte by byte."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def _query(result: SearchResult) -> dict[str, Any]:
    query, terms = result.query, result.terms
    score = seven_point_score(terms) if terms else None
    return {
        "picture": None if query.image is None else _picture(query.image, _QUERY_SIDE, partial(of_query, result)),
        "text": (query.text or "").strip() or None,
        "unread": list(result.unread),
        "terms": [
            {
                "title": CRITERIA[name].title,
                "value": value,
                "points": CRITERIA[name].points if value in CRITERIA[name].suspicious else 0,
            }
            for name, value in terms.items()
        ],
        "score": score,
        "suspicious": score is not None and score >= _EXCISION,
        "conditions": describe_condition(result.where.condition),
    }


def _hit(hit: Hit, result: SearchResult, classes: Mapping[str | None, str]) -> dict[str, Any]:
    case = hit.case
    title = diagnosis_title(case.diagnosis)
    asked = result.terms
    return {
        "rank": hit.rank,
        "case_id": case.case_id,
        "picture": _picture(result.picture(hit), _HIT_SIDE, partial(of_hit, result, hit.rank)),
        "title": title,
        "label": case.diagnosis if case.diagnosis != title else None,
        "fine": case.fine_diagnosis if case.fine_diagnosis not in {case.diagnosis, title} else None,
        "tone": classes[case.diagnosis],
        "score": f"{hit.score:.3f}",
        "parts": [_bar("local", hit.local), _bar("global", hit.global_)],
        "shared": [term_phrase(name, value) for name, value in hit.shared_criteria.items()],
        "differing": [(term_phrase(name, value), asked[name]) for name, value in hit.differing_criteria.items()],
        "silent": len(asked) - len(hit.shared_criteria) - len(hit.differing_criteria),
        "about": " · ".join(describe_case(case)),
        "seven_point": seven_point_score(case.checklist) if case.checklist else None,
    }


def _bar(name: str, value: float) -> dict[str, Any]:
    return {"name": name, "value": f"{value:.3f}", "length": f"{100 * min(max(value, 0.0), 1.0):.1f}"}


def _distribution(result: SearchResult, classes: Mapping[str | None, str]) -> list[dict[str, Any]]:
    """Each diagnosis of the base or the hits with its share of both, in the order of the base."""
    base, found, n_hits = result.base.diagnoses, result.diagnoses, len(result.hits)
    names = [*base, *(name for name in found if name not in base)]
    return [
        {
            "title": diagnosis_title(name),
            "tone": classes[name],
            "hits": found.get(name, 0),
            "hit_share": 100 * found.get(name, 0) / max(n_hits, 1),
            "cases": base.get(name, 0),
            "base_share": 100 * base.get(name, 0) / max(result.base.count, 1),
        }
        for name in names
    ]


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
