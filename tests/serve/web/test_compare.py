"""Comparisons, and a case's own page: the scale, the other photographs of the lesion, and what of them is logged."""

from __future__ import annotations

import datetime
import html
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator
from starlette.testclient import TestClient

from dermquery.data.case import SPACING, Case
from dermquery.serve.app import create_app
from dermquery.serve.settings import ServeSettings
from dermquery.serve.web.lesion import counterpart
from dermquery.store.casebase import CaseBase
from tests.serve.web.conftest import Served, Visit, picture, search, until
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder


def _series(cases: list[Case]) -> list[Case]:
    """Three dermoscopic images of one lesion over time, and two clinical photographs; others are alone."""
    told = [
        ("dermoscopic", "2021-03-01", "0.02"),
        ("dermoscopic", "2022-03-01", "0.01"),
        ("dermoscopic", "2024-03-01", ""),
        ("clinical: close-up", "2021-04-01", "0.1"),
        ("clinical: overview", "2024-02-01", "1"),
    ]
    of_one = [
        case.model_copy(
            update={
                "lesion_id": "L",
                "image_type": kind,
                "date": datetime.date.fromisoformat(taken),
                "extra": {SPACING: spacing} if spacing else {},
            }
        )
        for case, (kind, taken, spacing) in zip(cases, told, strict=False)
    ]
    alone = [case.model_copy(update={"lesion_id": None}) for case in cases[len(told) :]]
    return [*of_one, *alone]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A browser on a service over seven cases, five of which show one lesion."""
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    base.add(_series(make_cases(tmp_path / "cases", 7)))
    app = create_app(ServeSettings(base=str(base.uri), state=tmp_path / "state"), base)
    with TestClient(app, "http://127.0.0.1:8420", client=("127.0.0.1", 5000)) as found:
        assert found.get("/add").status_code == 200  # it has been here before
        yield found


def compared(client: TestClient, case_id: str, narrowed: str = "", **asked: str) -> str:
    sent = client.post("/searches", data={"term.streaks": "irregular", **asked}, headers={"HX-Request": "true"})
    return html.unescape(client.get(f"/compare{sent.headers['hx-push-url'][1:]}{narrowed}&compare={case_id}").text)


def panes(page: str) -> list[tuple[str, str, str]]:
    """Kind, case and scale of every pane."""
    found = re.findall(r'<figure class="pane" data-kind="(\w+)">(.*?)</figure>', page, re.DOTALL)
    shown = [(kind, re.search(r'src="[^"]*/cases/([^/"]+)/image"', pane), pane) for kind, pane in found]
    scales = [re.search(r'data-spacing="([^"]+)"', pane) for _, _, pane in shown]
    return [
        (kind, case[1] if case else "", scale[1] if scale else "")
        for (kind, case, _), scale in zip(shown, scales, strict=True)
    ]


def strip(page: str) -> list[str]:
    return re.findall(r"<figcaption>(.*?)</figcaption>", page[page.index('class="film"') :], re.DOTALL)


def test_a_case_has_its_other_photograph_beside_it_and_all_of_its_lesion_below(client: TestClient) -> None:
    page = compared(client, "case-000")
    assert panes(page) == [("query", "", ""), ("case", "case-000", "0.02"), ("counterpart", "case-003", "0.1")]
    assert 'alt="Clinical photograph of case case-003, ' in page
    first, *later = strip(page)
    assert first == "<strong>This image</strong><br>2021-03-01<br>Dermoscopic"
    assert later[0] == "2021-04-01<br>Clinical: close-up"
    assert [words.split("<br>")[0] for words in later] == ["2021-04-01", "2022-03-01", "2024-02-01", "2024-03-01"]
    assert panes(compared(client, "case-005")) == [("query", "", ""), ("case", "case-005", "")]


def test_the_nearest_in_time_stands_beside(client: TestClient) -> None:
    assert panes(compared(client, "case-002"))[2] == ("counterpart", "case-004", ""), "1 mm a pixel is no scale"
    assert panes(compared(client, "case-003"))[2] == ("counterpart", "case-000", "0.02")
    shown = client.get("/case?id=case-001").text
    assert re.findall(r'<img src="[^"]*/cases/([^/"]+)/image"', shown) == ["case-001", "case-003"]
    assert re.findall(r'data-spacing="([^"]+)"', shown) == ["0.01", "0.1"]
    assert "Images of this lesion" in shown
    alone = client.get("/case?id=case-006").text
    assert re.findall(r'<img src="[^"]*/cases/([^/"]+)/image"', alone) == ["case-006"]
    assert "Images of this lesion" not in alone


def test_which_of_several_stands_beside() -> None:
    def shown(case_id: str, kind: str | None) -> Case:
        return Case(case_id=case_id, image=Path("x"), image_type=kind)

    lesion = [
        shown("derm7pt-0009", None), shown("derm7pt-0009-clinical", "clinical: close-up"), shown("m", "RCM: mosaic"),
        shown("derm7pt-0010", None), shown("derm7pt-0010-clinical", "TBP tile: close-up"),
    ]  # fmt: skip
    beside = [counterpart(one, lesion) for one in lesion]
    assert [one and one.case_id for one in beside] == [
        "derm7pt-0009-clinical", "derm7pt-0009", "derm7pt-0009", "derm7pt-0010-clinical", "derm7pt-0010",
    ]  # fmt: skip
    assert counterpart(lesion[0], lesion[:1]) is None


def test_an_earlier_image_stands_beside_the_case(client: TestClient, tmp_path: Path) -> None:
    page = compared(client, "case-002", "&where=date%3E%3D2024-01-01")
    opened = {link for link in re.findall(r'hx-get="(/compare[^"]+)"', page) if "beside=case-000" in link}
    (link,) = opened
    beside = html.unescape(client.get(link).text)
    assert panes(beside)[-1] == ("lesion", "case-000", "0.02")
    assert 'aria-current="true"' in beside
    lines = [json.loads(line) for file in (tmp_path / "state").rglob("*.jsonl") for line in file.open()]
    seen = [line["cases"] for line in lines if line.get("what") == "compare"]
    assert set(seen[-1]) == {f"case-00{i}" for i in range(5)}, "who sees an image is logged"


def test_more_like_a_case_has_its_scale(client: TestClient) -> None:
    page = compared(client, "case-005", like="case-001", **{"term.streaks": ""})
    assert panes(page)[0] == ("query", "case-001", "0.01")


def _bar(view: Locator) -> tuple[float, str]:
    bar = view.locator(".ruler span").first.bounding_box()
    assert bar is not None
    return bar["width"], view.locator(".ruler span").last.inner_text()


@pytest.mark.slow
def test_a_ruler_follows_the_zoom(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    page.fill("#text", "irregular streaks")
    search(page)
    page.goto(f"{page.url}&k=50")
    first = page.locator(f'.card[data-case="{served.cases[10].case_id}"] .open')
    first.click()
    view = page.locator(".pane[data-kind=case] .view")
    until(page, "document.querySelector('.pane[data-kind=case] .ruler')?.hidden === false")
    assert page.locator(".pane[data-kind=counterpart]").count() == 1
    frame = view.bounding_box()
    assert frame is not None
    side = min(frame["width"], frame["height"])
    for zoom in (1.0, 1.25, 1.25**2, 1.25**3, 1.25**4):
        width, words = _bar(view)
        millimetres = float(words.removesuffix(" mm"))
        assert re.fullmatch(r"0?\.?[125]0*", words.removesuffix(" mm")), "a round length"
        assert math.isclose(width, millimetres / 0.05 * side / 160 * zoom, rel_tol=0.02), "160 pixels of 50 µm"
        assert width <= 0.31 * frame["width"]
        page.click("[data-zoom=in]")
    picture(page, "ruler")
    page.click('.film a:has-text("2023")')
    page.wait_for_selector(".pane[data-kind=lesion] .view img")
    assert page.locator(".film [aria-current]").count() == 1
    page.keyboard.press("Escape")
    page.wait_for_selector("#compare:not([open])", state="attached")
