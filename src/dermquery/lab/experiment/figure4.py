"""The paper's Figure 4: queries with their texts, their five best cases, and where the similarity comes from.

The queries are not picked: each diagnosis is shown by its query of median average precision on one fold.
"""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from dermquery.answer.overlay import spotlight
from dermquery.answer.words import diagnosis_title
from dermquery.data.case import Case
from dermquery.data.files import replacing
from dermquery.data.image import load_image
from dermquery.lab.evaluate.metrics import average_precision
from dermquery.lab.evaluate.predictions import read_predictions
from dermquery.lab.evaluate.protocols import Protocol, protocol_sets
from dermquery.lab.experiment.comparison import Plan, Row
from dermquery.model.alignment import Evidence
from dermquery.model.load import load_model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Answer", "typical_answers", "write_answers"]

_SHOWN, _SIDE = 5, 320
_RIGHT, _WRONG, _INK, _SOFT = "#1d7a4f", "#b3372f", "#182026", "#58646e"


@dataclass(frozen=True)
class Answer:
    """One query and what was found.

    Attributes:
        query: the case that asks with its own image and findings.
        hits: the best cases, best first.
        scores: of the hits.
        evidence: where the local similarity to each hit comes from.
        average_precision: of the whole ranking.
    """

    query: Case
    hits: tuple[Case, ...]
    scores: tuple[float, ...]
    evidence: tuple[Evidence, ...]
    average_precision: float


def typical_answers(plan: Plan, row: Row, fold: int, protocol: Protocol = Protocol.SEEN) -> list[Answer]:
    """For each diagnosis the answer to the query of median average precision; ties go to the first case id.

    Args:
        plan: of the comparison.
        row: the composed model; its predictions and its trained model are there.
        fold: whose test part asks.
        protocol: which gallery.
    """
    queries, gallery = protocol_sets(protocol, plan.folds, fold, plan.cases)
    ranking = read_predictions(plan.folder(row, fold) / f"{protocol}.parquet", queries, gallery).ranking
    precision = average_precision(ranking.same())
    model = load_model(plan.training_folder("composed", row.config, fold) / "model")
    answers = []
    for label in sorted({str(query.diagnosis) for query in queries}):
        own = [i for i, q in enumerate(queries) if q.diagnosis == label and not np.isnan(precision[i])]
        if not own:
            continue
        own.sort(key=lambda i: (precision[i], queries[i].case_id))
        chosen = own[(len(own) - 1) // 2]
        query = queries[chosen]
        places = [place for place in ranking.order[chosen, :_SHOWN].tolist() if place >= 0]
        hits = tuple(gallery[place] for place in places)
        scores = tuple(ranking.scores[chosen, : len(hits)].tolist())
        evidence = tuple(model.evidence(query.as_query(), hit) for hit in hits)
        answers.append(Answer(query, hits, scores, evidence, float(precision[chosen])))
    return answers


def write_answers(answers: Sequence[Answer], out: Path, heading: str) -> list[Path]:
    """Write ``answers.png`` and ``answers.html`` into a folder; returns their paths.

    Both hold images of the user's data: they are for the user's own eyes, not for publication without a licence.
    """
    paths = [out / "answers.png", out / "answers.html"]
    with replacing(paths[0]) as part:
        _figure(answers, heading).savefig(part, format="png", dpi=110, metadata={"Software": "dermquery"})
    environment = Environment(
        loader=PackageLoader("dermquery.lab.experiment"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("figure4.html.j2").render(
        heading=heading, answers=[_plain(answer) for answer in answers], right=_RIGHT, wrong=_WRONG
    )
    with replacing(paths[1]) as part:
        part.write_text(page, encoding="utf-8")
    return paths


def _picture(case: Case, levels: Sequence[Any], box: tuple[int, int, int, int] | None) -> Image.Image:
    """The image at most :data:`_SIDE` pixels long, under its evidence if there is some."""
    picture = load_image(case.image)
    veil = None if box is None or not levels else spotlight(levels, box, picture.size, 160)
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    if veil is None:
        return picture
    smooth = veil.resize(picture.size, Image.Resampling.BICUBIC)
    return Image.alpha_composite(picture.convert("RGBA"), smooth).convert("RGB")


def _pictures(answer: Answer) -> tuple[Image.Image, list[Image.Image]]:
    levels = [np.mean(level, axis=0) for level in zip(*(found.query for found in answer.evidence), strict=True)]
    asked = _picture(answer.query, levels, answer.evidence[0].query_box if answer.evidence else None)
    return asked, [_picture(h, found.case, found.box) for h, found in zip(answer.hits, answer.evidence, strict=True)]


def _figure(answers: Sequence[Answer], heading: str) -> Any:
    from matplotlib.figure import Figure  # not pyplot: no global state, no display

    figure = Figure(figsize=(14, 0.6 + 3.0 * len(answers)), layout="constrained", facecolor="white")
    figure.suptitle(heading, fontsize=11, x=0.01, ha="left", color=_INK)
    grid = figure.subplots(len(answers), _SHOWN + 1, squeeze=False)
    for axes, answer in zip(grid, answers, strict=True):
        asked, found = _pictures(answer)
        _show(axes[0], asked, f"query: {diagnosis_title(answer.query.diagnosis)}", _INK, "solid")
        words = textwrap.shorten(answer.query.as_query().sentence or "", 280, placeholder=" …")
        axes[0].set_xlabel("\n".join(textwrap.wrap(words, 44)), fontsize=6.5, color=_SOFT)
        for place, (panel, hit, picture) in enumerate(zip(axes[1:], answer.hits, found, strict=False), start=1):
            right = hit.diagnosis == answer.query.diagnosis
            colour, mark = (_RIGHT, "✓") if right else (_WRONG, "✗")
            title = f"{place} {mark} {diagnosis_title(hit.diagnosis)}  {answer.scores[place - 1]:.3f}"
            _show(panel, picture, title, colour, "solid" if right else "dashed")
        for panel in axes[1 + len(found) :]:
            panel.set_axis_off()
    return figure


def _show(axes: Axes, picture: Image.Image, title: str, colour: str, style: str) -> None:
    axes.imshow(picture)
    axes.set_title(title, fontsize=8, color=colour, loc="left")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(edgecolor=colour, linewidth=3, linestyle=style)


def _plain(answer: Answer) -> dict[str, Any]:
    """An answer as the page shows it."""
    asked, found = _pictures(answer)
    return {
        "query": _facts(answer.query, asked),
        "text": answer.query.as_query().sentence or "no findings recorded",
        "average_precision": answer.average_precision,
        "hits": [
            _facts(hit, picture) | {"score": score, "right": hit.diagnosis == answer.query.diagnosis}
            for hit, picture, score in zip(answer.hits, found, answer.scores, strict=True)
        ],
    }


def _facts(case: Case, picture: Image.Image) -> dict[str, Any]:
    """A case on the page: id, diagnoses, and its picture as a data URI without the file's metadata."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return {
        "case_id": case.case_id,
        "diagnosis": diagnosis_title(case.diagnosis),
        "fine": case.fine_diagnosis or "",
        "uri": "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode(),
    }
