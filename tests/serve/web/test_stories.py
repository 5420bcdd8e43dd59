"""What people do with a query and its answer, in a real browser."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from dermquery.store.where import Written
from tests.serve.web.conftest import (
    LICENSED,
    NOTICE,
    Served,
    Visit,
    choose_image,
    ids,
    picture,
    scores,
    search,
    set_weight,
    settled,
    until,
)

pytestmark = pytest.mark.slow

TEXT = "atypical network, blue-whitish veil"


def test_nothing_of_an_answer_is_cut_at_1300_pixels(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    page.set_viewport_size({"width": 1300, "height": 900})
    choose_image(page, served.cases[0].image)
    page.fill("#text", TEXT)
    search(page)
    assert page.evaluate("document.querySelector('#results-title').offsetHeight") < 30, "one line"
    assert page.evaluate("document.querySelector('.legend').offsetHeight") < 30, "one line"
    cut = "[...document.querySelectorAll('.card .fine, .card .said')].filter(e => e.scrollWidth > e.clientWidth).length"
    assert page.evaluate(cut) == 0
    assert "that is no advice of this program" in page.inner_text("#reading .score")
    assert "Findings: the share of those asked for" in page.inner_text(".notes")
    titles = page.eval_on_selector_all("#presets .pick", "picks => picks.map(pick => pick.title)")
    assert any("“paper”" in title for title in titles)


def test_a_search_shows_what_was_found_and_how_common_it_is(served: Served, visit: Visit) -> None:
    page, query = visit(served.url), served.others[0]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    choose_image(page, query.image)
    page.fill("#text", f"{TEXT}, green stripes")
    search(page)
    expected = served.base.search(image=query.image, text=f"{TEXT}, green stripes", top_k=10)
    assert ids(page) == [hit.case.case_id for hit in expected.hits], "the page ranks as the library does"
    assert scores(page) == [round(hit.score, 3) for hit in expected.hits]
    assert page.inner_text("#results-title") == "10 most similar cases of 60"
    assert "pigment network: atypical" in page.inner_text("#reading .found >> nth=0")
    assert "green stripes" in page.inner_text("#reading .unread")
    assert page.inner_text(".score-badge") == "score 4"
    first = page.inner_text(".card >> nth=0")
    hit = expected.hits[0]
    assert f"({hit.meaning:.3f})" in first
    assert hit.findings is not None
    assert f"{hit.findings:.0%}".replace("%", " %") in first
    for name, value in hit.shared_criteria.items():
        assert value in page.inner_text(".card >> nth=0 >> .said"), name
    page.click(".shares-panel summary")
    shares = page.inner_text("table.shares")
    nevi = served.base.count(["diagnosis=nv"])
    assert f"{nevi} ({100 * nevi / 60:.0f} %)" in shares, "the base's own share stands beside that of the hits"
    assert "neither is a probability" in page.inner_text("#results")
    assert "Research use only" in page.inner_text("header")
    assert NOTICE in page.inner_text("header")
    assert "network" not in " ".join(asked), "what was asked stays out of addresses and so out of logs"
    picture(page, "search")


@pytest.mark.parametrize("width", [390, 1440])
def test_a_card_says_in_full_whose_its_image_is(served: Served, visit: Visit, width: int) -> None:
    page = visit(served.url, width=width)
    choose_image(page, served.cases[20].image)
    search(page)
    page.locator(f".card[data-case='{served.cases[20].case_id}']").scroll_into_view_if_needed()
    picture(page, f"attribution-{width}")
    assert LICENSED["attribution"] in page.locator(".card .about bdi").first.inner_text()
    shown = "[...document.querySelectorAll('.about bdi')].filter((said) => [...said.getClientRects()].some((line) => {"
    shown += "const card = said.closest('.about').getBoundingClientRect();"
    assert (
        page.evaluate(f"{shown} return line.right > card.right + 1 || line.bottom > card.bottom + 1 }})).length") == 0
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_lambda_ranks_again_at_once_and_encodes_nothing(served: Served, visit: Visit) -> None:
    page, query = visit(served.url), served.others[1]
    choose_image(page, query.image)
    search(page)
    page.click(".mark.yes >> nth=1")
    page.wait_for_selector(".mark-bar:has-text('1 marked +')")
    marked = ids(page)[1]
    pictures: list[str] = []
    page.on("request", lambda request: pictures.append(request.url) if "thumbnail" in request.url else None)
    before = encodings(page)
    for weight in ("0", "1", "0.35"):
        set_weight(page, weight)
        expected = served.base.search(image=query.image, top_k=10, local_weight=float(weight))
        assert ids(page) == [hit.case.case_id for hit in expected.hits]
        assert scores(page) == [round(hit.score, 3) for hit in expected.hits]
    assert encodings(page) == before
    assert len(pictures) == len(set(pictures)), "the picture of a case that stays is not asked for again"
    if marked in ids(page):
        card = page.locator(".card").nth(ids(page).index(marked))
        assert card.locator(".mark.yes input").is_checked()
    assert "lambda=0.35" in page.url
    settled(page, lambda: page.select_option("#k", "20"))
    assert len(ids(page)) == 20
    assert "k=20" in page.url
    assert "lambda=0.35" in page.url


def encodings(page: Page) -> float:
    """How many queries the server has encoded."""
    metrics = page.request.get(f"{page.url.split('?')[0]}metrics").text()
    found = re.search(r"^dermquery_encodings_total ([\d.]+)$", metrics, re.MULTILINE)
    assert found, metrics
    return float(found[1])


def test_filters_choose_which_cases_may_be_found(served: Served, visit: Visit) -> None:
    page = visit(served.url, expected=(422,))
    page.fill("#text", "irregular streaks")
    page.click("#filters > summary")
    page.click("fieldset[data-field=sex] .only:has-text('female')")
    page.fill("#f-age_from", "50")
    search(page)
    by_id = {case.case_id: case for case in served.cases}
    found = [by_id[case_id] for case_id in ids(page)]
    assert found
    assert all(case.sex == "female" and (case.age or 0) >= 50 for case in found)
    assert [text.strip(" ×\n") for text in page.locator(".conditions .chip").all_inner_texts()] == [
        "sex female",
        "age ≥ 50",
    ]
    before = ids(page)
    page.fill("#f-age_from", "500")
    page.press("#f-age_from", "Tab")
    assert page.evaluate("document.querySelector('#f-age_from').validity.rangeOverflow"), "the browser says so"
    assert ids(page) == before, "nothing is cleared"
    refused = visit(f"{page.url.split('&')[0]}&where=age%3E%3D500", beside=page, expected=(422,))
    assert "'500'" in refused.inner_text("#problem")
    assert refused.input_value("#text") == "irregular streaks"


def test_a_finding_can_be_demanded_or_excluded_with_live_counts(served: Served, visit: Visit) -> None:
    """It filters what was recorded, whatever the query says, and stands in the address."""
    page = visit(served.url)
    page.fill("#text", "irregular streaks")
    page.click("#filters > summary")
    search(page)
    network = "fieldset[data-field=pigment_network]"
    settled(page, lambda: page.click(f"{network} .only:has-text('atypical')"))
    expected = served.base.search(text="irregular streaks", where=Written(must=("pigment_network=atypical",)), top_k=10)
    assert ids(page) == [hit.case.case_id for hit in expected.hits]
    assert {hit.case.checklist["pigment_network"] for hit in expected.hits} == {"atypical"}
    assert "pigment network atypical" in page.inner_text(".conditions")
    left = served.base.count(["pigment_network=atypical", "sex=female"])
    assert page.inner_text("fieldset[data-field=sex] .only:has-text('female') .n") == str(left)
    address = page.url
    settled(page, lambda: page.click(f"{network} .value:has-text('atypical') .not"))
    assert all(served.base.store.get([i])[i].case.checklist.get("pigment_network") != "atypical" for i in ids(page))
    page.go_back()
    page.wait_for_selector(".cards > .card")
    assert page.url == address
    assert ids(page) == [hit.case.case_id for hit in expected.hits], "Back brings the former filter back"
    again = visit(address, beside=page)
    again.wait_for_selector(".cards > .card")
    assert ids(again) == ids(page)
    settled(again, lambda: again.click(".conditions .chip a"), path="/?")
    assert not again.locator(f"{network} .only:has-text('atypical') input").is_checked()


def test_an_image_is_turned_and_cropped_before_it_is_searched_for(served: Served, visit: Visit) -> None:
    page, query = visit(served.url), served.others[2]
    choose_image(page, query.image)
    page.click("[data-do=right]")
    page.click("[data-do=crop]")
    page.wait_for_selector(".crop:focus")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowDown")
    search(page)
    assert page.input_value("[name=turn]") == "1"
    assert page.input_value("[name=crop]") == "0.1000,0.1200,0.7800,0.8000"
    turned = np.rot90(np.asarray(Image.open(query.image).convert("RGB")), -1)
    part = Image.fromarray(turned[19:147, 16:141])
    expected = served.base.search(image=part, top_k=10)
    assert ids(page) == [hit.case.case_id for hit in expected.hits]


def test_query_and_case_stand_side_by_side(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    choose_image(page, served.others[0].image)
    page.fill("#text", TEXT)
    search(page)
    page.keyboard.press("Escape")
    page.locator("body").click(position={"x": 700, "y": 8})
    page.keyboard.press("1")
    assert page.evaluate("document.activeElement.dataset.rank") == "1"
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.rank") == "2"
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] .view img")
    assert "Rank 2" in page.inner_text("#compare h2")
    page.locator(".view >> nth=0").focus()
    for key in ("+", "+", "ArrowRight"):
        page.keyboard.press(key)
    transforms = page.locator(".layers").evaluate_all("found => found.map(layer => layer.style.transform)")
    assert transforms[0] == transforms[1] != ""
    assert "scale(1.5625)" in transforms[0]
    for level in ("All", "Fine detail"):
        with page.expect_response(lambda answer: "/overlay" in answer.url and "over=case" in answer.url) as answered:
            page.click(f"dialog .pick:has-text('{level}')")
        assert answered.value.status == 200
    until(page, "[...document.querySelectorAll('.overlay')].filter(o => o.naturalWidth > 0).length === 2")
    assert "blue-whitish veil" in page.inner_text("#compare table.criteria").lower()
    picture(page, "compare")
    assert page.locator(".overlay-legend").is_visible()
    page.locator(".view >> nth=0").focus()
    page.keyboard.press("PageDown")
    until(page, "document.querySelector('#compare h2').textContent.includes('Rank 3')")
    assert "compare=" in page.url, "a comparison has an address"
    page.reload()
    page.wait_for_selector("dialog[open] .view img")
    page.select_option("dialog select[name=beside]", index=1)
    page.wait_for_selector(".pane[data-kind=case] ~ .pane[data-kind=case]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#compare", state="hidden")
    assert "compare=" not in page.url


def test_marked_hits_move_the_query(served: Served, visit: Visit) -> None:
    page, query = visit(served.url), served.others[3]
    choose_image(page, query.image)
    search(page)
    first = ids(page)
    page.click(".mark.yes >> nth=9")
    page.click(".mark.no >> nth=0")
    page.wait_for_selector("text=1 marked +, 1 marked −")
    page.click("#search-marked")
    page.wait_for_selector("text=The query was moved by 2 marked cases.")
    base = served.base
    rows = base.store.get([first[9], first[0]])
    moved = base.encode(image=query.image).moved(
        base.manifest.layout, rows[first[9]].vector[None], rows[first[0]].vector[None]
    )
    assert ids(page) == [hit.case.case_id for hit in base.search_encoded(moved, top_k=10).hits]
    page.click(".notes button:has-text('Clear marks')")
    page.wait_for_selector("text=The query was moved", state="detached")
    assert ids(page) == first


def test_more_like_a_hit_leaves_itself_out(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    page.click(".example >> nth=1")
    page.wait_for_selector(".card code")
    asked = page.inner_text(".query .note strong").removeprefix("More like case ")
    assert asked not in ids(page)
    assert f"Left out, so that nothing finds itself: case {asked}" in page.inner_text(".notes")
    chosen = ids(page)[0]
    page.click(".card >> nth=0 >> a:has-text('More like this')")
    page.wait_for_selector(f".query .note:has-text('{chosen}')")
    until(page, f"![...document.querySelectorAll('.card code')].some(c => c.textContent === '{chosen}')")
    page.click("text=Back to my own query")
    page.wait_for_selector(f".query .note:has-text('{asked}')")
    assert ids(page)[0] == chosen


def test_the_answer_can_be_taken_away(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    page.fill("#text", TEXT)
    search(page)
    files = {}
    for ending, name in {
        "pdf": "Report (PDF)",
        "html": "Report (HTML)",
        "csv": "Hits (CSV)",
        "json": "Hits (JSON)",
        "fhir.json": "Hits (FHIR bundle)",
    }.items():
        page.click("summary:has-text('Take away')")
        with page.expect_download() as download:
            page.click(f".menu-list a:has-text('{name}')")
        assert download.value.suggested_filename == f"dermquery-hits.{ending}"
        files[ending] = Path(download.value.path()).read_bytes()
    assert files["pdf"].startswith(b"%PDF-")
    assert len(files["pdf"]) > 20_000, "it holds the images"
    html = files["html"].decode()
    assert "Research use only" in html
    assert NOTICE in html
    rows = list(csv.DictReader(io.StringIO(files["csv"].decode("utf-8-sig"))))
    assert [row["case_id"] for row in rows] == ids(page)
    data = json.loads(files["json"])
    assert [hit["case_id"] for hit in data["hits"]] == ids(page)
    assert data["base"]["model"] == "demo"
