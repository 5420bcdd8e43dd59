"""Whom the page reaches: each language, twice the size, paper, phones that photograph in HEIC; in a real browser."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page
from pypdf import PdfReader

from tests.serve.web.conftest import Served, Visit, choose_image, search
from tests.serve.web.test_form import axe, findings

__all__ = ["axe"]
pytestmark = pytest.mark.slow
HEIC = Path(__file__).parents[2] / "data" / "heic" / "turned.heic"


def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def states(page: Page, served: Served) -> Iterator[str]:
    """One page through its states: start, hits, the weights, the filters, a comparison."""
    page.wait_for_selector(".example")
    yield "start"
    choose_image(page, served.others[0].image)
    page.fill("#text", "irregular streaks")
    page.click("#filters > summary")
    search(page)
    yield "hits with filters"
    page.click("#advanced summary")
    yield "advanced"
    page.click("#advanced summary")
    page.click(".card .open >> nth=0")
    page.wait_for_selector("dialog[open] table.criteria")
    yield "comparison"


@pytest.mark.parametrize(("locale", "width", "scheme"), [("de-DE", 390, "dark"), ("nl-NL", 1920, "light")])
def test_every_language_fits_and_axe_finds_nothing(
    served: Served, visit: Visit, axe: str, locale: str, width: int, scheme: str
) -> None:
    page = visit(served.url, width=width, locale=locale, color_scheme=scheme, bypass_csp=True)
    assert page.evaluate("document.documentElement.lang") == locale[:2]
    for state in states(page, served):
        assert fits(page), state
        assert not findings(page, axe), state


def test_the_language_is_switched_without_losing_the_query(served: Served, visit: Visit) -> None:
    page = visit(served.url, locale="de-DE")
    page.fill("#text", "unregelmäßige Streifen, kein Schleier")
    search(page)
    page.wait_for_selector(".found:has-text('Streifen: unregelmäßig')")
    page.click("#languages summary")
    with page.expect_navigation():
        page.click("#languages button[value=nl]")
    page.wait_for_selector(".card code")
    assert page.evaluate("document.documentElement.lang") == "nl"
    assert page.input_value("#text") == "unregelmäßige Streifen, kein Schleier"
    page.wait_for_selector(".found:has-text('strepen: onregelmatig')")
    assert page.locator(".total").first.inner_text().split()[-1].count(",") == 1


@pytest.mark.parametrize(("width", "height"), [(640, 450), (320, 256)])
def test_twice_and_four_times_the_size_nothing_is_cut_off(
    served: Served, visit: Visit, width: int, height: int
) -> None:
    """A window of 1280 × 900 at 200 %, and WCAG's reflow at 400 %."""
    page = visit(served.url, width=width, height=height, device_scale_factor=2)
    for state in states(page, served):
        assert fits(page), state
    page.keyboard.press("Escape")
    for address in ("/add", "/base", "/browse"):
        page.goto(f"{served.url}{address}")
        page.wait_for_selector("h1")
        assert fits(page), address


def test_a_printed_answer_has_the_query_and_nothing_to_click(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    choose_image(page, served.others[0].image)
    page.fill("#text", "irregular streaks")
    search(page)
    page.wait_for_selector(".chip.found")  # the words are read by a request of their own
    page.emulate_media(media="print")
    for seen in (".stage img", "#text", ".chip.found", ".card .frame img", ".research"):
        assert page.locator(seen).first.is_visible(), seen
    for hidden in ("#search", "nav a", "#advanced", ".actions", "#checklist", "#theme"):
        assert not page.locator(hidden).first.is_visible(), hidden
    printed = PdfReader(io.BytesIO(page.pdf(format="A4")))
    text = printed.pages[0].extract_text()
    assert "Research use only" in text
    assert "irregular streaks" in text
    assert len(printed.pages) <= 4


def test_a_photograph_of_a_phone_is_searched_with(served: Served, visit: Visit) -> None:
    page = visit(served.url, width=390, height=844, has_touch=True)
    choose_image(page, HEIC)
    assert page.locator(".stage img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    search(page)
    assert page.locator(".card").count() == 10
