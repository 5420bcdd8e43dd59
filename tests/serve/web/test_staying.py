"""What stays: queries in addresses, in the form and in a list, and words as words; in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.serve.web.conftest import (
    SCRIPT,
    Served,
    Visit,
    choose_image,
    ids,
    scores,
    search,
    set_weight,
    settled,
    until,
)

pytestmark = pytest.mark.slow

TEXT = "atypical network, blue-whitish veil"


def test_an_address_restores_the_query_in_its_browser_only(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    choose_image(page, served.others[4].image)
    page.fill("#text", "no streaks")
    page.click("button:has-text('Starburst')")
    search(page)
    set_weight(page, "0.9")
    assert "streaks" not in page.url, "no word of the query is in the address"
    again = visit(page.url, beside=page)
    again.wait_for_selector(".card code")
    assert ids(again) == ids(page)
    assert again.input_value("#text") == "no streaks"
    assert again.locator("#criterion-streaks input:checked").get_attribute("value") == "regular"
    assert again.input_value("#local-weight") == "0.9"
    key = page.url.split("query=")[1].split("&")[0]
    upload = page.input_value("[name=image]")
    other = visit(page.url, expected=(410,))
    other.wait_for_selector("#problem .problem:has-text('another browser')")
    assert other.input_value("#text") == ""
    for path in (f"/queries/{key}/image", f"/images/{upload}/image"):
        assert page.request.get(f"{served.url}{path}").status == 200
        assert other.request.get(f"{served.url}{path}").status == 410, path
    assert other.request.get(f"{served.url}/api/v1/searches/{key}/hits.json").status == 404


def test_a_changed_query_marks_its_hits_as_old(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    page.fill("#text", TEXT)
    search(page)
    before = ids(page)
    assert not page.locator(".old-note").is_visible()
    page.fill("#text", "no streaks")
    assert page.locator(".old-note").is_visible()
    set_weight(page, "0.2")
    assert page.locator(".old-note").is_visible(), "other weights are still for the old query"
    settled(page, lambda: page.click(".old-note button"))
    assert not page.locator(".old-note").is_visible()
    assert ids(page) != before
    page.go_back()
    page.wait_for_selector(".card code")
    assert page.input_value("#text") == TEXT


def test_a_hand_on_a_slider_is_answered_in_its_last_position(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    page.fill("#text", TEXT)
    search(page)
    set_weight(page, "0.95")
    wanted = scores(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/weigh") else None)
    page.locator("#local-weight").evaluate(
        """slider => { for (const place of ["0.1", "0.3", "0.5", "0.7", "0.85", "0.95"]) {
            slider.value = place; slider.dispatchEvent(new Event("input", {bubbles: true})); } }"""
    )
    until(page, "!document.querySelector('#results').classList.contains('htmx-request')")
    assert len(asked) == 2, "the first position at once, then the last; none of those between"
    assert (scores(page), page.input_value("#local-weight")) == (wanted, "0.95")
    assert "lambda=0.95" in page.url


def test_what_was_read_can_be_left_out_or_corrected(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    page.fill("#text", "atypical network, perhaps irregular streaks, blue-whitish veil, green stripes")
    page.wait_for_selector(".chip.unread:has-text('green stripes')")
    assert "streaks" in page.inner_text(".chip.uncertain")
    settled(page, lambda: page.click(".chip.found:has-text('veil') .cross"), path="/read")
    search(page)
    expected = served.base.search(checklist={"pigment_network": "atypical"}, top_k=10)
    assert ids(page) == [hit.case.case_id for hit in expected.hits]
    assert scores(page) == [round(hit.score, 3) for hit in expected.hits]
    page.click(".chip.found:has-text('network') a")
    assert page.evaluate("document.activeElement.name") == "term.pigment_network"


def test_the_last_searches_are_listed_and_can_be_erased(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    page.fill("#text", TEXT)
    search(page)
    page.click("summary:has-text('Last searches')")
    page.click(f"#history a:has-text('{TEXT}')")
    page.wait_for_selector(".card code")
    assert page.input_value("#text") == TEXT
    page.click("summary:has-text('Last searches')")
    page.click("#history button")
    page.wait_for_selector("#history:has-text('Nothing was searched')")


def test_a_bad_upload_is_named_and_loses_nothing(served: Served, visit: Visit, tmp_path: Path) -> None:
    page = visit(served.url, expected=(422,))
    page.fill("#text", TEXT)
    bad = tmp_path / "notes.jpg"
    bad.write_text("%PDF-1.7 no image")
    page.set_input_files("#image-input", bad)
    page.wait_for_selector(".warnings .problem")
    assert "PDF document" in page.inner_text(".warnings .problem")
    huge = tmp_path / "huge.png"
    with huge.open("wb") as file:
        file.truncate(21 * 2**20)
    page.set_input_files("#image-input", huge)
    page.wait_for_selector(".problem:has-text('21.0 MB')")
    assert page.input_value("#text") == TEXT
    small = tmp_path / "dark.png"
    Image.new("RGB", (120, 120), (8, 6, 6)).save(small)
    choose_image(page, small)
    page.wait_for_selector(".warnings .warning")
    assert "dark" in page.inner_text(".warnings")
    page.click("#search")
    page.wait_for_selector(".card code")


def test_words_of_a_case_are_only_words(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    hostile = served.cases[0]
    choose_image(page, hostile.image)
    page.fill("#text", "<img src=x onerror=alert(1)>")
    search(page)
    assert ids(page)[0] == hostile.case_id
    assert SCRIPT in page.inner_text(".card >> nth=0")
    page.click(".card .open >> nth=0")
    page.wait_for_selector("dialog[open] table")
    assert SCRIPT in page.inner_text("#compare")
    assert page.title() == "Search · dermquery"
    overview = visit(f"{served.url}/base")
    overview.wait_for_selector("[data-drawn]")
    assert SCRIPT in overview.inner_text("main")
    assert overview.title() == "Case base · dermquery"
