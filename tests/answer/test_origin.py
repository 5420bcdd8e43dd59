"""Whose an image is stands wherever the image is shown, and in every file of hits."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from pypdf import PdfReader

from dermquery.answer.formats import REPORTS, render
from dermquery.answer.png import draw
from dermquery.cli.hits_table import print_result
from dermquery.data.case import Case
from dermquery.store.casebase import CaseBase
from dermquery.store.hits import SearchResult

Said = Callable[[SearchResult], str]
OWNERS: tuple[dict[str, str], ...] = (
    {"source": "Clinic <A>", "licence": "CC-BY-NC", "attribution": "Ann & Bob, Köln"},
    {"licence": "CC-0"},
    {},
)
LONG = {"source": "S" * 300, "licence": "L" * 300, "attribution": "word " * 200}


@pytest.fixture(scope="module")
def result(base: CaseBase, cases: Sequence[Case]) -> SearchResult:
    found = base.search(image=cases[0].image, top_k=3)
    owned = zip(found.hits, OWNERS, strict=True)
    return replace(found, hits=tuple(replace(h, case=h.case.model_copy(update=owner)) for h, owner in owned))


def pdf(result: SearchResult) -> str:
    return " ".join(page.extract_text() for page in PdfReader(io.BytesIO(render("pdf", result)[0])).pages)


def png(result: SearchResult) -> str:
    return " ".join(text.get_text() for text in draw(result).texts)


def file(ending: str) -> Said:
    return lambda result: render(ending, result)[0].decode()


def unmarked(html: str) -> str:
    for written, sign in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        html = html.replace(written, sign)
    return html


SAID: dict[str, Said] = {
    "pdf": pdf,
    "png": png,
    "html": lambda result: unmarked(file("html")(result)),
    "notebook": lambda result: unmarked(result._repr_html_()),
    **{ending: file(ending) for ending in ("csv", "json", "fhir.json")},
}


@pytest.mark.parametrize("form", SAID)
def test_licence_and_attribution_stand_in_every_output(result: SearchResult, form: str) -> None:
    assert set(REPORTS.names()) <= set(SAID), "a new format says it too"
    said = re.sub(r"\s+", " ", SAID[form](result))
    missing = [word for word in ("CC-BY-NC", "Ann & Bob, Köln", "CC-0") if word not in said]
    assert missing == []
    if form != "fhir.json":  # which names no source, as that may be a clinic
        assert "Clinic <A>" in said


@pytest.mark.parametrize("form", ["pdf", "png", "html", "notebook"])
def test_the_very_image_is_named_as_such_where_it_stands(result: SearchResult, form: str) -> None:
    assert "byte-identical image" in re.sub(r"\s+", " ", SAID[form](result)).lower()


@pytest.mark.parametrize("form", SAID)
def test_long_words_break_nothing(result: SearchResult, form: str) -> None:
    hits = tuple(replace(hit, case=hit.case.model_copy(update=LONG)) for hit in result.hits)
    assert "L" * 30 in re.sub(r"\s+", "", SAID[form](replace(result, hits=hits)))


def test_the_terminal_says_each_origin_once(
    result: SearchResult, base: CaseBase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    twice = replace(result, hits=(*result.hits, replace(result.hits[0], rank=4)))
    print_result(twice, base)
    assert "1, 4 from Clinic <A> · CC-BY-NC · Ann & Bob, Köln" in capsys.readouterr().out.splitlines()
