"""What every output says of one answer, word for word, beside what it said before.

Where words change on purpose, write the files of ``golden/`` again with ``DERMQUERY_WRITE_GOLDEN=1`` and read the
difference.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader

from dermquery import __version__
from dermquery.answer.csv_json import hits_csv, hits_json
from dermquery.answer.html import write_html
from dermquery.answer.pdf import write_pdf
from dermquery.answer.png import draw
from dermquery.cli.hits_table import print_result
from dermquery.data.case import Case, Query
from dermquery.data.findings import Findings, Remark
from dermquery.data.image_quality import ImageWarning
from dermquery.model.parts import Weights
from dermquery.serve.answers import Answer
from dermquery.serve.api.search_schemas import SearchAnswer
from dermquery.serve.prepared import Prepared
from dermquery.store.casebase import CaseBase
from dermquery.store.encoded import EncodedQuery
from dermquery.store.hits import BaseInfo, Hit, SearchResult, compare_criteria
from dermquery.store.where import parse_where
from tests.store.conftest import draw_lesion

GOLDEN = Path(__file__).parent / "golden"
WHEN = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
NOTICE = "These cases are made up."
WARNINGS = (ImageWarning("blurred", "The image is blurred. Use one that is in focus.", 0.6, 0.48),)
FOUND: tuple[dict[str, Any], ...] = (
    {
        "diagnosis": "mel", "fine_diagnosis": "melanoma (in situ)", "lesion_id": "l-1", "patient_id": "p-1",
        "sex": "female", "age": 61.5, "site": "back", "elevation": "palpable", "source": "clinic",
        "date": datetime.date(2024, 3, 31), "text": "grew for six months",
        "checklist": {"pigment_network": "atypical", "streaks": "irregular", "pigmentation": "absent"},
        "extra": {"camera": "DermLite"},
    },
    {
        "diagnosis": "nv", "fine_diagnosis": "clark nevus", "lesion_id": "l-2", "sex": "male", "age": 40.0,
        "checklist": {"pigment_network": "typical", "streaks": "irregular"},
    },
    {"diagnosis": "halo naevus", "site": "upper limbs", "source": "=1+1"},
    {},
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("golden")


@pytest.fixture(scope="module")
def result(folder: Path) -> SearchResult:
    """Four hits: one with every field, one that differs, one with a label of its own, one of which nothing is known."""
    terms = {"pigment_network": "atypical", "streaks": "irregular", "vascular_structures": "dotted"}
    hits = []
    for i, known in enumerate(FOUND):
        case = Case(case_id=f"case-{i}", image=draw_lesion(folder / f"{i}.png", i), **known)
        local, global_ = 0.75 - 0.25 * i, 0.5 - 0.125 * i
        shared, differing = compare_criteria(terms, case)
        meaning, findings, look = 0.6 * local + 0.4 * global_, (0.5, 0.25, 0.0, 0.0)[i], 0.875 - 0.25 * i
        hits.append(
            Hit(
                rank=i + 1,
                case=case,
                score=meaning + 0.5 * findings + 0.3 * look,
                meaning=meaning,
                findings=findings,
                look=look,
                local=local,
                global_=global_,
                shared_criteria=shared,
                differing_criteria=differing,
                likely_criteria={"vascular_structures": 0.125 * i},
                closer_than={"meaning": 0.9996 - 0.1 * i, "look": 0.5},
                same_image=i == 0,
                same_photograph=i == 1,
                sha256=f"{i}" * 64,
            )
        )
    return SearchResult(
        query=Query(image=draw_lesion(folder / "query.png", 99), text="atypical network, itches", checklist=terms),
        reading=Findings(
            terms,
            unread=("itches",),
            uncertain=(Remark("blue_whitish_veil", "possible veil", "blue-whitish veil: present or absent?"),),
            conflicts=(
                Remark("streaks", "regular in the text, irregular as a term", "streaks: regular or irregular?"),
            ),
            incomplete=(Remark("pigmentation", "blotch", "pigmentation: regular?"),),
            language="nl",
        ),
        hits=tuple(hits),
        weights=Weights(meaning=1, findings=0.5, look=0.3),
        preset="balanced",
        where=parse_where(["age>=21", "site!=face", "date<2025-01-01", "elevation=flat,palpable"]),
        n_candidates=7,
        base=BaseInfo("/bases/clinic", 9, {"nv": 5, "mel": 3, None: 1}, "demo", "ab" * 32, 2, ("low", "high")),
    )


class _Words(HTMLParser):
    """Text of a page, a line for each run of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.lines += [f"[{name}] {value}" for name, value in attrs if name in ("alt", "title", "class") and value]

    def handle_data(self, data: str) -> None:
        self.lines += [data.strip()] if data.strip() else []


def _html(result: SearchResult, folder: Path) -> str:
    html = write_html(result, folder / "a.html", warnings=WARNINGS, notice=NOTICE, created=WHEN).read_text("utf-8")
    return "\n".join(_Words(re.sub(r"<style>.*</style>", "", html, flags=re.DOTALL)).lines)


def _pdf(result: SearchResult, _folder: Path) -> str:
    buffer = io.BytesIO()
    write_pdf(result, buffer, warnings=WARNINGS, notice=NOTICE, created=WHEN)
    return "\n".join(page.extract_text() for page in PdfReader(buffer).pages)


def _png(result: SearchResult, _folder: Path) -> str:
    return "\n".join(text.get_text() for text in draw(result, NOTICE).texts)


def _api(result: SearchResult, _folder: Path) -> str:
    encoded = EncodedQuery(result.query, result.reading, np.zeros(1, np.float32))
    prepared = Prepared("key", "owner", encoded, sha256="f" * 64, marks={"case-1": True, "case-2": False})
    sent = SearchAnswer.of(Answer(prepared, result, 0, WARNINGS), "/root").model_dump(mode="json", by_alias=True)
    return json.dumps(sent, indent=1, ensure_ascii=False)


OUTPUTS: dict[str, Callable[[SearchResult, Path], str]] = {
    "hits.csv": lambda result, _: hits_csv(result).replace("\r\n", "\n"),
    "hits.json": lambda result, _: hits_json(result, WARNINGS),
    "sheet.txt": _html,
    "report.txt": _pdf,
    "picture.txt": _png,
    "api.json": _api,
}


def _compare(name: str, said: str, folder: Path) -> None:
    # Compressed as this machine's libraries do it.
    image = hashlib.sha256((folder / "query.png").read_bytes()).hexdigest()
    said = said.replace(str(folder), "FOLDER").replace(image, "SHA256 OF THE QUERY")
    said = said.replace(f"dermquery {__version__}", "dermquery VERSION").rstrip("\n") + "\n"
    path = GOLDEN / name
    if os.environ.get("DERMQUERY_WRITE_GOLDEN"):
        path.write_text(said, encoding="utf-8")
    assert said == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_says_what_it_said(name: str, result: SearchResult, folder: Path) -> None:
    _compare(name, OUTPUTS[name](result, folder), folder)


def test_the_command_line_says_what_it_said(
    result: SearchResult, folder: Path, base: CaseBase, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "160")
    print_result(result, base, WARNINGS)
    _compare("terminal.txt", "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()), folder)


@pytest.mark.parametrize(("width", "numbers"), [(80, True), (60, False)])
def test_a_narrow_terminal_breaks_no_words_and_marks_what_the_model_was_trained_on(
    result: SearchResult, base: CaseBase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    width: int, numbers: bool,
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", str(width))
    hits = tuple(replace(hit, trained_on=hit.rank == 2) for hit in result.hits)
    print_result(replace(result, hits=hits), base)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= width
    assert lines[2].split()[:3] == ["2†", "case-1", "nv"]
    assert ("(0.450)" in lines[2], "(0.625)" in lines[2], "89.9 %" in lines[2]) == (numbers, numbers, True)
    said = " ".join(lines)
    assert "1: byte-identical image; shared terms: pigment network: atypical, streaks: irregular" in said
    assert "not recorded: vascular structures: dotted (12 % by the image)" in said
    assert "† The model was trained on this image." in lines


def test_nothing_in_the_picture_runs_into_its_neighbour(result: SearchResult) -> None:
    hits = tuple(
        replace(hit, score=1.497, trained_on=True, case=hit.case.model_copy(update={"diagnosis": "scc"}))
        for hit in result.hits
    )
    figure = draw(replace(result, hits=hits))
    figure.savefig(io.BytesIO())  # draws it, so that every text has its place
    boxes = {text: text.get_window_extent() for text in figure.texts}
    below = [
        (text, box)
        for text, box in boxes.items()
        if box.y1 < min(b.y0 for t, b in boxes.items() if "×" in t.get_text())
    ]
    overlapping = [
        (one.get_text(), other.get_text())
        for i, (one, box) in enumerate(below)
        for other, around in below[i + 1 :]
        if box.overlaps(around) and one.get_text() and other.get_text()
    ]
    assert not overlapping
    column = (1600 - 36 - 400 - 4 * 22) / 5 + 22
    for text, box in below:
        left, right = (edge / 1.2 - 400 for edge in (box.x0, box.x1))
        if left >= 0 and "Percentages" not in text.get_text() and "model demo" not in text.get_text():
            assert int(left // column) == int(right // column), text.get_text()
