from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermquery.answer.html import write_html
from dermquery.answer.png import draw, write_png
from dermquery.answer.words import describe_condition, diagnosis_title, tones
from dermquery.data.case import Case
from dermquery.store.casebase import CaseBase
from dermquery.store.hits import SearchResult
from dermquery.store.where import parse_where
from tests.store.conftest import draw_lesion
from tests.store.encoder import ProjectionEncoder

WHEN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
EVIL = "<script>alert(1)</script>\"' onload=x ${7*7} {{ 7*7 }} </style>"


class Page(HTMLParser):
    """Tags with their attributes, and the text, of a sheet."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.style = ""
        self._in_style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.style += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def result(base: CaseBase, cases: Sequence[Case]) -> SearchResult:
    return base.search(
        image=cases[1].image,
        text="grew for six months",
        checklist={"pigment_network": "atypical", "streaks": "irregular"},
        where=["age>=21"],
        exclude_case="case-003",
    )


def sheet(result: SearchResult, folder: Path, notice: str | None = None) -> Page:
    return Page(write_html(result, folder / "sheet.html", notice=notice, created=WHEN).read_text(encoding="utf-8"))


def test_the_sheet_says_what_was_asked_and_found(result: SearchResult, tmp_path: Path) -> None:
    text = sheet(result, tmp_path, "These cases are synthetic.").text
    assert "These cases are synthetic." in text
    assert text.count("Research use only. Not a medical device.") == 2
    assert "grew for six months" in text
    assert "Seven-point score 3" in text
    assert "Only cases with age ≥ 21; case id not case-003." in text
    assert "Score = 1 × meaning (paper). Meaning = 0.6 × local + 0.4 × global similarity." in text
    assert "Byte-identical image" in text
    assert "2026-01-02 03:04 UTC" in text
    assert result.base.model_hash in text
    assert result.base.name in text
    assert result.base.uri not in text
    assert f"5 most similar cases of {result.n_candidates}" in text
    for hit in result.hits:
        assert hit.case.case_id in text
        assert f"{hit.score:.3f}" in text
        assert re.search(rf"meaning [0-9.]+ % \({hit.meaning:.3f}\)", text)
        assert diagnosis_title(hit.case.diagnosis) in text
    assert text.count("✓") == sum(len(hit.shared_criteria) for hit in result.hits)
    assert text.count("≠") == sum(len(hit.differing_criteria) for hit in result.hits)
    assert "Nevus" in text
    assert "6 (25 %)" in text, "prevalence of each diagnosis in the base"


def test_the_sheet_stands_alone(result: SearchResult, tmp_path: Path) -> None:
    page = sheet(result, tmp_path)
    images = page.all("img")
    assert len(images) == 6
    assert all(image["src"] and image["src"].startswith("data:image/jpeg;base64,") for image in images)
    assert all(image["alt"] for image in images)
    assert not {"script", "link", "iframe", "a", "form", "object"} & {tag for tag, _ in page.tags}
    assert not [attrs for _, attrs in page.tags if "style" in attrs or any(name.startswith("on") for name in attrs)]
    assert "url(" not in page.style
    assert "@import" not in page.style
    assert "http" not in (tmp_path / "sheet.html").read_text().replace("http-equiv", "")
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert f"style-src 'sha256-{digest}';" in policy
    assert "prefers-color-scheme: dark" in page.style
    assert "@media print" in page.style


def test_thumbnails_are_small_and_carry_no_metadata(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 1400, 3), dtype=np.uint8))
    exif = image.getexif()
    exif[0x010E] = "patient name"
    image.save(path, exif=exif)
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    base.add([Case(case_id="a", image=path)])
    page = sheet(base.search(image=path), tmp_path)
    for attrs, side in zip(page.all("img"), (640, 420), strict=True):
        data = base64.b64decode(str(attrs["src"]).partition(",")[2])
        assert b"patient name" not in data
        with Image.open(io.BytesIO(data)) as thumb:
            assert max(thumb.size) == side
            assert thumb.size[0] / thumb.size[1] == pytest.approx(1400 / 900, abs=0.01)


def test_everything_is_escaped(tmp_path: Path) -> None:
    case = Case(
        case_id=EVIL,
        image=draw_lesion(tmp_path / "a.png", 1),
        diagnosis=EVIL,
        fine_diagnosis=EVIL + "2",
        site=EVIL,
        sex=EVIL,
        lesion_id=EVIL,
    )
    base = CaseBase.create(tmp_path / EVIL.replace("/", "|"), ProjectionEncoder())
    base.add([case])
    result = base.search(text=EVIL)
    page = sheet(result, tmp_path, EVIL)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert page.text.count(EVIL) >= 6
    write_png(result, tmp_path / "a.png", notice=EVIL)


def test_a_base_that_keeps_its_images_needs_no_files(tmp_path: Path) -> None:
    cases = [Case(case_id=str(i), image=draw_lesion(tmp_path / f"{i}.png", i)) for i in range(2)]
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    base.add(cases)
    question = cases[0].image.read_bytes()
    for case in cases:
        case.image.unlink()
    page = sheet(base.search(image=question), tmp_path)
    assert len(page.all("img")) == 3
    assert "not available" not in page.text


def test_a_lost_image_leaves_a_remark(tmp_path: Path) -> None:
    cases = [Case(case_id=str(i), image=draw_lesion(tmp_path / f"{i}.png", i)) for i in range(2)]
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder(), images=False)
    base.add(cases)
    result = base.search(image=cases[0].image)
    cases[0].image.unlink()
    page = sheet(result, tmp_path)
    assert len(page.all("img")) == 1
    assert page.text.count("Image not available") == 2
    write_png(result, tmp_path / "a.png")


def test_words_only_and_no_hit(base: CaseBase, tmp_path: Path) -> None:
    page = sheet(base.search(text="unusual"), tmp_path)
    assert "No image: the words alone were searched for." in page.text
    assert "Seven-point score" not in page.text
    assert len(page.all("img")) == 5
    none = base.search(text="unusual", where=parse_where(["site=moon"]))
    assert "No case satisfies the conditions." in sheet(none, tmp_path).text
    write_png(none, tmp_path / "none.png")
    beyond = base.search(text="unusual", offset=24)
    assert "The ranking ends at 24: 24 cases satisfy the conditions" in sheet(beyond, tmp_path).text
    assert "No case satisfies" not in sheet(beyond, tmp_path).text
    write_png(beyond, tmp_path / "beyond.png")
    assert (tmp_path / "beyond.png").read_bytes() != (tmp_path / "none.png").read_bytes()


def test_the_picture(result: SearchResult, tmp_path: Path) -> None:
    path = write_png(result, tmp_path / "deep" / "result.png", notice="These cases are synthetic.")
    with Image.open(path) as image:
        width, height = image.size
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert width == 1920
    assert 700 < height < 1400
    for diagnosis, tone in tones(result.diagnoses).items():
        colour = [int(tone.light[i : i + 2], 16) for i in (1, 3, 5)]
        assert (pixels == colour).all(axis=1).sum() > 1000, f"no frame for {diagnosis}"
    again = write_png(result, tmp_path / "again.png", notice="These cases are synthetic.")
    assert again.read_bytes() == path.read_bytes()


def test_the_picture_grows_with_long_evidence(base: CaseBase, cases: Sequence[Case], tmp_path: Path) -> None:
    short = write_png(base.search(text="unusual"), tmp_path / "short.png")
    full = {"pigment_network": "atypical", "streaks": "irregular", "pigmentation": "diffuse irregular"}
    full |= {"dots_and_globules": "irregular", "blue_whitish_veil": "present", "vascular_structures": "dotted"}
    where = parse_where(["site!=moon"])
    query = base.search(image=cases[0].image, text="a long story " * 30, checklist=full, where=where)
    with Image.open(short) as small, Image.open(write_png(query, tmp_path / "long.png")) as large:
        assert small.height < large.height


def test_colours_are_distinct_and_stable() -> None:
    names = ["mel", "nv", "bkl", "bcc", "scc", "akiec", "df", "vasc", None]
    palette = tones(names)
    assert len({tone.light for tone in palette.values()}) == len(names)
    assert tones(["mel", "other"])["mel"] == palette["mel"]
    assert set(tones([f"label {i}" for i in range(20)])) == {f"label {i}" for i in range(20)}
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for t in palette.values() for colour in (t.light, t.dark))


def test_conditions_in_words() -> None:
    clauses = ["site=back,chest", "sex!=female", "age>=40", "age<=60.5", "elevation=missing", "site!=missing"]
    assert describe_condition(parse_where(clauses).condition) == [
        "site back or chest",
        "sex not female",
        "age ≥ 40",
        "age ≤ 60.5",
        "elevation not recorded",
        "site recorded",
    ]


@pytest.mark.filterwarnings("error")
def test_a_picture_names_characters_that_its_font_lacks(result: SearchResult, tmp_path: Path) -> None:
    write_png(result, tmp_path / "a.png", notice="Köln 患者 \ud800")
    assert "Köln [60A3][8005] [D800]" in [text.get_text() for text in draw(result, "Köln 患者 \ud800").texts]
