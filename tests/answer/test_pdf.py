"""The PDF report, read back with pypdf; where its words lie, with poppler if that is installed."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfReader

from dermquery.answer.content import report_content
from dermquery.answer.html import write_html
from dermquery.answer.pdf import write_pdf
from dermquery.answer.pdf_page import printable
from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.data.image_quality import ImageWarning
from dermquery.model.alignment import Evidence
from dermquery.store.casebase import CaseBase
from dermquery.store.hits import SearchResult

WHEN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
WARNING = ImageWarning("blurred", "The image is blurred. Use one that is in focus.", 0.6, 0.48)


@pytest.fixture(scope="module")
def result(base: CaseBase, cases: Sequence[Case]) -> SearchResult:
    return base.search(
        image=cases[1].image,
        text="grew for six months",
        checklist={"pigment_network": "atypical", "streaks": "irregular"},
        where=["age>=21"],
    )


def pdf(result: SearchResult, notice: str | None = None) -> bytes:
    buffer = io.BytesIO()
    write_pdf(result, buffer, warnings=[WARNING], notice=notice, created=WHEN)
    return buffer.getvalue()


def read(written: bytes) -> str:
    """Text as pypdf extracts it, its white space evened out."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(written)).pages).split())


def pages(written: bytes) -> int:
    return len(PdfReader(io.BytesIO(written)).pages)


def changed(result: SearchResult, **fields: object) -> SearchResult:
    """The result with another first case."""
    first = result.hits[0]
    hit = replace(first, case=first.case.model_copy(update=fields))
    return replace(result, hits=(hit, *result.hits[1:]))


def test_the_report_says_what_the_page_says(result: SearchResult, tmp_path: Path) -> None:
    text = read(pdf(result, "These cases are synthetic."))
    content = report_content(result, created=WHEN)
    html = write_html(result, tmp_path / "s.html", warnings=[WARNING], created=WHEN).read_text(encoding="utf-8")
    for said in (
        content.heading, content.formula, content.no_probability, content.no_diagnosis, WARNING.message,
        "grew for six months", "2026-01-02 03:04 UTC", "age ≥ 21", result.base.model_hash, result.base.model_name,
        f"1, {result.base.count} cases",
    ):  # fmt: skip
        assert said in text, said
        assert said in html, said
    assert "These cases are synthetic." in text
    assert text.count("Research use only. Not a medical device.") >= 3
    assert "Seven-point score 3" in text
    for hit, item in zip(result.hits, content.hits, strict=True):
        assert hit.case.case_id in text
        assert f"{hit.score:.3f}" in text
        assert all(part.brief in text for part in item.parts)
        assert item.title in text
    for row in content.shares:
        assert f"{row.cases} ({100 * row.base_share:.0f} %)" in text
    assert "probability of" not in text


@pytest.mark.parametrize(
    "words", ["Größe, übermäßig", "źle gojąca się Łódź", "λ·local ≥ Ωμέγα", "родинка", "naïve œuvre"]
)
def test_european_languages_are_printed(result: SearchResult, words: str) -> None:
    asked = replace(result, query=result.query.model_copy(update={"text": words}))
    assert words in read(pdf(changed(asked, fine_diagnosis=words)))


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("黑色素瘤", "[9ED1][8272][7D20][7624]"),
        ("ผู้ป่วย", "[0E1C]"),
        ("खाज", "[0916]"),
        ("a\u3000b\u200d\ufe0f", "a b"),
        ("\U0001f9ec", "[1F9EC]"),
    ],
)
def test_a_character_without_a_glyph_is_never_a_blank(result: SearchResult, words: str, shown: str) -> None:
    text = read(pdf(changed(result, fine_diagnosis=words, case_id=f"{words} 1")))
    assert shown in text
    assert ("which the fonts of this file lack" in text) == ("[" in shown)


def test_a_further_font_is_used_where_it_is_named(result: SearchResult, monkeypatch: pytest.MonkeyPatch) -> None:
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    only_there = "\U0001d49c"  # a script capital, in STIX
    assert "[1D49C]" in read(pdf(changed(result, fine_diagnosis=only_there)))
    monkeypatch.setenv("DERMQUERY_PDF_FONT", str(fonts / "STIXNonUni.ttf"))
    assert pdf(changed(result, fine_diagnosis="\ue22d")).startswith(b"%PDF")
    monkeypatch.setenv("DERMQUERY_PDF_FONT", str(fonts / "STIXGeneral.ttf"))
    assert "[1D49C]" not in read(pdf(changed(result, fine_diagnosis=only_there)))
    monkeypatch.setenv("DERMQUERY_PDF_FONT", "/nowhere.ttf")
    with pytest.raises(ValueError, match=r"DERMQUERY_PDF_FONT=/nowhere\.ttf cannot be used"):
        pdf(result)


def test_text_is_never_markup_nor_a_placeholder(result: SearchResult) -> None:
    evil = "<b>x</b> **y** __z__ {nb} \\) Tj ET (q) $a_1$ %s {0} &amp; <script>"
    asked = replace(result, query=result.query.model_copy(update={"text": evil}))
    text = read(pdf(changed(asked, case_id="--{nb}--\ue000", site="[a](http://evil.example)")))
    assert evil in text
    assert "--{nb}--\ufffd" in text
    assert "[a](http://evil.example)" in text
    assert b"/URI" not in pdf(changed(asked, site="[a](http://evil.example)"))


def test_long_words_wrap_and_long_texts_run_over_pages(result: SearchResult) -> None:
    long = "x" * 600 + " END1 " + "many words " * 900 + "END2"
    asked = replace(result, query=result.query.model_copy(update={"text": long}))
    written = pdf(changed(asked, case_id="c" * 500, fine_diagnosis="f" * 900, site="s" * 900))
    text = read(written)
    assert "END1" in text
    assert "END2" in text
    assert text.replace(" ", "").count("x") >= 600
    assert pages(written) > pages(pdf(result))
    if shutil.which("pdftotext"):
        box = subprocess.run(["pdftotext", "-bbox", "-", "-"], input=written, capture_output=True, check=True).stdout
        right = max(float(x) for x in re.findall(rb'xMax="([\d.]+)"', box)) / 72 * 25.4
        assert right <= 210 - 14, "millimetres; the margin is 15"


def test_numbers_of_pages_stand_in_the_foot(result: SearchResult) -> None:
    many = replace(result, hits=tuple(replace(result.hits[i % 5], rank=i + 1) for i in range(60)))
    written = pdf(many)
    n = pages(written)
    assert n > 9, "two digits"
    text = read(written)
    assert all(f"Page {i} of {n}" in text for i in range(1, n + 1))


def test_the_same_result_gives_the_same_bytes_and_no_metadata_of_the_image(
    tmp_path: Path, result: SearchResult
) -> None:
    image = Image.open(result.hits[0].case.image).convert("RGB")
    exif = Image.Exif()
    exif[0x010E] = "Jane Doe 1970"
    image.resize((900, 700)).save(tmp_path / "secret.jpg", exif=exif)
    shown = replace(result, query=result.query.model_copy(update={"image": tmp_path / "secret.jpg"}))
    written = pdf(shown)
    assert written == pdf(shown)
    assert written.startswith(b"%PDF-")
    plain = written + b"".join(_streams(written))
    assert b"Jane Doe" not in plain
    assert b"secret.jpg" not in plain
    assert b"/JavaScript" not in plain
    assert b"/Title" in plain


def _streams(written: bytes) -> list[bytes]:
    found = []
    for raw in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", written, re.DOTALL):
        try:
            found.append(zlib.decompress(raw))
        except zlib.error:
            found.append(raw)
    return found


def test_an_image_that_is_lost_and_no_hits(result: SearchResult, tmp_path: Path) -> None:
    lost = replace(result, query=result.query.model_copy(update={"image": tmp_path / "none.jpg"}), hits=())
    assert "The ranking ends at" in read(pdf(lost))
    lost = replace(lost, n_candidates=0)
    write_pdf(lost, tmp_path / "deep" / "report.pdf", created=WHEN)
    written = (tmp_path / "deep" / "report.pdf").read_bytes()
    assert pages(written) == 1
    assert "Image not available" in read(written)
    assert "No case satisfies the conditions." in read(written)


def test_evidence_is_laid_over_the_images(result: SearchResult) -> None:
    size = Image.open(result.hits[0].case.image).size
    level = np.eye(4, dtype=np.float32)
    found = Evidence((level,), (level,), (0, 0, *size), (0, 0, *size))
    assert pdf(replace(result, evidence=(found,) * len(result.hits))) != pdf(result)


@settings(max_examples=30)
@given(st.text(max_size=60))
def test_any_text_can_be_printed(text: str) -> None:
    shown = printable(text)
    assert not any(ord(sign) < 32 and sign != "\n" for sign in shown)
    assert not any("\ue000" <= sign <= "\uf8ff" for sign in shown)


@settings(max_examples=12)
@given(st.text(max_size=80), st.text(min_size=1, max_size=40))
def test_any_text_gives_a_pdf(result: SearchResult, text: str, name: str) -> None:
    asked = replace(result, query=result.query.model_copy(update={"text": text}), hits=result.hits[:1])
    assert pdf(changed(asked, case_id=name, fine_diagnosis=text)).endswith(b"%%EOF\n")


def test_pages_of_a_ranking_say_where_they_begin(result: SearchResult) -> None:
    later = replace(result, hits=tuple(replace(hit, rank=hit.rank + 10) for hit in result.hits))
    heading = report_content(later).heading
    assert heading == f"Cases 11 to 15 of {result.n_candidates} by similarity"
    assert report_content(replace(result, hits=())).heading == "No case found"
    assert report_content(replace(result, hits=result.hits[:1])).heading.startswith("1 most similar case of ")


def test_criteria_are_compared_side_by_side(result: SearchResult) -> None:
    item = report_content(changed(result, checklist={"pigment_network": "typical", "streaks": "irregular"})).hits[0]
    rows = {row.title: (row.asked, row.held, row.same) for row in item.criteria}
    assert [row.title for row in item.criteria] == [criterion.title for criterion in CRITERIA.values()]
    assert {title: row for title, row in rows.items() if row != (None, None, None)} == {
        "pigment network": ("atypical", "typical", False),
        "streaks": ("irregular", "irregular", True),
    }
    assert "blue-whitish veil" not in read(pdf(replace(result, hits=result.hits[:1]))), "nobody says anything of it"
    silent = report_content(changed(result, checklist={})).hits[0]
    assert all(row.held is None and row.same is None for row in silent.criteria)
