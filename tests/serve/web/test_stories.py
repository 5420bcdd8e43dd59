"""What people do on the page, in a real browser against a real server."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from dermquery.store.projection import project
from dermquery.store.where import Written
from tests.serve.web.conftest import (
    NOTICE,
    SCRIPT,
    Served,
    Visit,
    choose_image,
    ids,
    picture,
    scores,
    search,
    settled,
    until,
)

pytestmark = pytest.mark.slow

TEXT = "atypical network, blue-whitish veil"


def set_weight(page: Page, weight: str) -> None:
    """Move the slider as a hand does."""
    if not page.locator("#local-weight").is_visible():
        page.click("#advanced summary")
    settled(page, lambda: page.locator("#local-weight").fill(weight))


def test_a_search_shows_what_was_found_and_how_common_it_is(served: Served, visit: Visit, screenshots: Path) -> None:
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
    assert f"({hit.findings:.3f})" in first
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
    picture(page, screenshots / "search.png")


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


def test_query_and_case_stand_side_by_side(served: Served, visit: Visit, screenshots: Path) -> None:
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
    picture(page, screenshots / "compare.png")
    assert page.locator(".overlay-legend").is_visible()
    page.locator(".view >> nth=0").focus()
    page.keyboard.press("PageDown")
    until(page, "document.querySelector('#compare h2').textContent.includes('Rank 3')")
    assert "compare=" in page.url, "a comparison has an address"
    page.reload()
    page.wait_for_selector("dialog[open] .view img")
    page.select_option("dialog select[name=beside]", index=1)
    page.wait_for_selector(".panes.n3")
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


def test_a_case_is_added_and_taken_back(served: Served, visit: Visit) -> None:
    page, other = visit(f"{served.url}/add", expected=(422,)), served.others[5]
    page.click("#add-case")
    page.wait_for_selector("text=Choose the image of the case first.")
    choose_image(page, other.image)
    page.fill("#add-case_id", "added")
    page.fill("#add-diagnosis", "mel")
    page.fill("#add-age", "200")
    page.click("#add-case")
    page.wait_for_selector("#problem:has-text('Age')")
    page.fill("#add-age", "44")
    page.click("#add-case")
    page.wait_for_selector("text=Case added was added.")
    assert served.base.store.get(["added"])["added"].case.age == 44
    choose_image(page, served.others[4].image)
    page.fill("#add-case_id", "added")
    page.click("#add-case")
    page.wait_for_selector("text=The base has a case added already.")
    page.click("button:has-text('Replace case')")
    until(page, "document.querySelector('#add-case_id').value === ''")
    assert served.base.store.get(["added"])["added"].case.age is None
    page.click(".note button:has-text('Undo')")
    page.wait_for_selector("text=Undone")
    assert served.base.store.get(["added"])["added"].case.age == 44, "the case that was replaced is back"
    served.base.delete(["added"])


def test_a_table_with_images_is_added_and_taken_back(served: Served, visit: Visit, tmp_path: Path) -> None:
    page = visit(f"{served.url}/add", expected=(422,))
    names = [shutil.copy(case.image, tmp_path) for case in served.others[:3]]
    table = tmp_path / "cases.csv"
    rows = [f"many-{i},{Path(name).name},nv" for i, name in enumerate(names)]
    table.write_text("\n".join(["case_id,image,diagnosis", *rows, "many-9,lost.jpg,nv"]) + "\n")
    page.set_input_files("#bundle-input", names)
    page.wait_for_selector("text=There must be one table")
    page.set_input_files("#bundle-input", [*names, table])
    page.click("button:has-text('Check and add')")
    page.wait_for_selector(".bundle .problem:has-text('lost.jpg')")
    assert not any(case_id.startswith("many") for case_id in served.base.store.ids())
    page.click("button:has-text('Leave these rows out')")
    page.wait_for_selector("text=3 added, 0 replaced, 0 unchanged, 1 left out")
    assert sum(case_id.startswith("many") for case_id in served.base.store.ids()) == 3
    page.click("button:has-text('Take back what was added')")
    page.wait_for_selector("text=3 cases were taken out again.")
    assert served.base.count() == 60


def test_people_sign_in_and_see_what_they_may_do(guarded: str, visit: Visit) -> None:
    page = visit(f"{guarded}/base", expected=(403,))
    assert "/sign-in" in page.url
    page.fill("input[name=name]", "reader")
    page.fill("input[name=password]", "not this one")
    page.click("button[type=submit]")
    assert "/sign-in" in page.url
    page.fill("input[name=name]", "reader")
    page.fill("input[name=password]", "a long pass phrase")
    page.click("button[type=submit]")
    page.wait_for_selector("[data-drawn]")
    assert page.url == f"{guarded}/base"
    assert "Signed in as reader" in page.inner_text("header")
    assert "Add cases" not in page.inner_text("nav")
    page.goto(f"{guarded}/add")
    page.wait_for_selector("text=needs the right to write")
    page.goto(guarded)
    page.fill("#text", TEXT)
    search(page)
    assert len(ids(page)) == 10
    until(page, "[...document.images].every((image) => image.complete)")  # else one is asked for without a session
    page.click("button:has-text('Sign out')")
    page.wait_for_url("**/sign-in*")
    page.goto(guarded)
    assert "/sign-in" in page.url


def test_a_tab_left_open_does_not_go_on_for_who_signs_in_next(guarded: str, visit: Visit) -> None:
    left = visit(guarded, expected=(403, 410))
    _sign_in(left, "reader")
    left.fill("#text", TEXT)
    search(left)
    other = left.context.new_page()
    other.goto(guarded)
    other.click("button:has-text('Sign out')")
    other.wait_for_url("**/sign-in*")
    _sign_in(other, "writer")
    other.wait_for_selector("text=Signed in as writer")
    left.click("#search")
    left.wait_for_selector("#problem:has-text('Reload the page')")
    left.reload()
    left.wait_for_selector("#problem:has-text('another browser')")
    assert left.input_value("#text") == "", "what the one asked is not for the other"


def _sign_in(page: Page, name: str) -> None:
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", "a long pass phrase")
    page.click("button[type=submit]")


def test_the_base_shows_what_it_holds(served: Served, visit: Visit) -> None:
    page = visit(f"{served.url}/base")
    page.wait_for_selector("[data-drawn]")
    nevi = served.base.count(["diagnosis=nv"])
    assert f"{nevi} ({100 * nevi / 60:.0f} %)" in page.inner_text(".counts >> nth=0")
    assert served.base.manifest.model_hash in page.inner_text("table.facts >> nth=0")
    seen = sum(bool(point.trained_on) for point in project(served.base).points)
    assert 0 < seen < 60, "the base is drawn with the seed of the demo model's training"
    assert f"hollow: the model was trained on the image ({seen} of these cases)" in page.inner_text(
        ".map [role=status]"
    )
    page.focus("canvas")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".chosen code")
    chosen = page.inner_text(".chosen code")
    (row,) = served.base.store.get([chosen]).values()
    about = page.inner_text(".chosen .hint")
    assert ("The model was trained on this image" in about) == served.base.trained_on([row.stamp.phash])[0]
    page.click("button:has-text('Look for images')")
    page.wait_for_selector("text=No image occurs twice.")
    page.click(".chosen a:has-text('More like this')")
    page.wait_for_selector(f".query .note:has-text('{chosen}')")
    page.wait_for_selector(".card code")


def test_the_base_is_browsed_and_a_case_changed_deleted_and_brought_back(served: Served, visit: Visit) -> None:
    page = visit(f"{served.url}/browse")
    assert page.inner_text("#gallery-title") == "60 cases"
    settled(page, lambda: page.click("fieldset[data-field=diagnosis] .only >> nth=0"), path="/browse")
    assert page.inner_text("#gallery-title") == f"{served.base.count(['diagnosis=nv'])} cases"
    assert "where=" in page.url
    page.click(".gallery a >> nth=0")
    page.wait_for_selector("#neighbours .example")
    case_id = page.inner_text("h1 code")
    before = served.base.store.get([case_id])[case_id]
    page.click("#edit summary")
    page.fill("#add-site", "somewhere else")
    settled(page, lambda: page.click("#save-case"), path="/case")
    assert served.base.store.get([case_id])[case_id].case.site == "somewhere else"
    settled(page, lambda: page.click("#changed button:has-text('Undo')"), path="/undo")
    again = served.base.store.get([case_id])[case_id]
    assert again.case.model_copy(update={"image": before.case.image}) == before.case
    settled(page, lambda: page.click("#delete-case"), path="/case/delete")
    assert case_id not in served.base.store.ids()
    settled(page, lambda: page.click("#changed button:has-text('Undo')"), path="/undo")
    again = served.base.store.get([case_id])[case_id]
    assert again.case.model_copy(update={"image": before.case.image}) == before.case
    assert again.stamp.sha256 == before.stamp.sha256


def test_an_id_that_looks_like_a_name_is_questioned(served: Served, visit: Visit) -> None:
    page = visit(f"{served.url}/add")
    choose_image(page, served.others[5].image)
    page.fill("#add-case_id", "Anna Muster")
    page.click("#add-case")
    page.wait_for_selector("#added:has-text('looks like a name')")
    assert "Anna Muster" not in served.base.store.ids()
