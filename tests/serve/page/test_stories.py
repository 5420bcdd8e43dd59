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
from playwright.sync_api import Page, WebSocketRoute

from dermquery.store.projection import project
from dermquery.store.where import Written
from tests.serve.page.conftest import NOTICE, SCRIPT, Served, Visit, choose_image, ids, scores, search, until

pytestmark = pytest.mark.slow

TEXT = "atypical network, blue-whitish veil"


def set_weight(page: Page, weight: str) -> None:
    """Move the slider as a hand does."""
    page.locator("#local-weight").fill(weight)
    until(page, f"document.querySelector('.weight output').textContent === '{weight}'")
    page.wait_for_timeout(150)


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
    assert page.inner_text("#results-title") == "10 most similar of 60 cases"
    assert "pigment network: atypical" in page.inner_text("#text-read")
    assert page.inner_text(".score-badge") == "score 4"
    first = page.inner_text(".card >> nth=0")
    hit = expected.hits[0]
    assert f"({hit.meaning:.3f})" in first
    assert f"({hit.findings:.3f})" in first
    for name, value in hit.shared_criteria.items():
        assert value in page.inner_text(".card >> nth=0 >> .chips"), name
    shares = page.inner_text("table.shares")
    nevi = served.base.count(["diagnosis=nv"])
    assert f"{nevi} ({100 * nevi / 60:.0f} %)" in shares, "the base's own share stands beside that of the hits"
    assert "neither is a probability" in page.inner_text(".results")
    assert "Research use only" in page.inner_text("header")
    assert NOTICE in page.inner_text("header")
    assert "network" not in " ".join(asked), "what was asked stays out of addresses and so out of logs"
    page.screenshot(path=screenshots / "search.png")


def test_lambda_ranks_again_at_once_and_encodes_nothing(served: Served, visit: Visit) -> None:
    page, query = visit(served.url), served.others[1]
    choose_image(page, query.image)
    search(page)
    page.click(".mark-yes >> nth=1")
    page.wait_for_selector(".mark-bar:has-text('1 relevant')")
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
        assert card.locator(".mark-yes").get_attribute("aria-pressed") == "true"
    assert "lambda=0.35" in page.url
    page.select_option(".top-k select", "5")
    until(page, "document.querySelectorAll('.cards > .card code').length === 5")


def encodings(page: Page) -> float:
    """How many queries the server has encoded."""
    metrics = page.request.get(f"{page.url.split('#')[0]}metrics").text()
    found = re.search(r"^dermquery_encodings_total ([\d.]+)$", metrics, re.MULTILINE)
    assert found, metrics
    return float(found[1])


def test_filters_choose_which_cases_may_be_found(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    page.fill("#text", "irregular streaks")
    page.click("summary:has-text('Which cases may be found')")
    page.select_option("label:has-text('Sex') select", "female")
    page.fill("label:has-text('Age from') input", "50")
    search(page)
    by_id = {case.case_id: case for case in served.cases}
    found = [by_id[case_id] for case_id in ids(page)]
    assert found
    assert all(case.sex == "female" and (case.age or 0) >= 50 for case in found)
    assert "Only cases with sex female; age ≥ 50" in page.inner_text(".notes")
    page.fill("label:has-text('Age from') input", "500")
    page.click("#search")
    page.wait_for_selector(".notes .problem")
    assert "'500'" in page.inner_text(".notes .problem")


def test_a_finding_can_be_demanded(served: Served, visit: Visit) -> None:
    """It filters what was recorded, whatever the query says, and stands in the address."""
    page = visit(served.url)
    page.fill("#text", "irregular streaks")
    page.click("summary:has-text('Which cases may be found')")
    page.select_option("[aria-labelledby=must] label:has-text('Pigment network') select", "atypical")
    search(page)
    expected = served.base.search(text="irregular streaks", where=Written(must=("pigment_network=atypical",)), top_k=10)
    assert ids(page) == [hit.case.case_id for hit in expected.hits]
    assert {hit.case.checklist["pigment_network"] for hit in expected.hits} == {"atypical"}
    assert "Only cases with pigment network atypical" in page.inner_text(".notes")
    assert "pigment_network=atypical" in page.url
    again = visit(page.url)
    again.wait_for_selector(".cards > .card")
    assert ids(again) == ids(page)


def test_an_image_is_turned_and_cropped_before_it_is_searched_for(served: Served, visit: Visit) -> None:
    page, query = visit(served.url), served.others[2]
    choose_image(page, query.image)
    page.click("button:has-text('Turn right')")
    page.click("button:text-is('Crop')")
    page.wait_for_selector(".crop:focus")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowDown")
    search(page)
    fragment = page.url.split("#")[1]
    assert "turn=1" in fragment
    assert "crop=0.1000%2C0.1200%2C0.7800%2C0.8000" in fragment
    turned = np.rot90(np.asarray(Image.open(query.image).convert("RGB")), -1)
    part = Image.fromarray(turned[19:147, 16:141])
    expected = served.base.search(image=part, top_k=10)
    assert ids(page) == [hit.case.case_id for hit in expected.hits]


def test_a_late_answer_undoes_no_newer_edit_of_the_image(served: Served, visit: Visit) -> None:
    held: list[bytes | str] = []
    slow = {"now": False}

    def late(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda message: held.append(message) if slow["now"] else socket.send(message))
        sockets.append(socket)

    sockets: list[WebSocketRoute] = []
    page = visit(served.url, routed=("**/socket.io/**", late))
    choose_image(page, served.others[2].image)
    slow["now"] = True
    page.click("button:has-text('Turn right')")
    page.click("button:has-text('Turn right')")
    page.click("button:text-is('Crop')")
    page.wait_for_selector(".crop:focus")
    page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_timeout(400)
    page.keyboard.press("ArrowDown")
    assert held, "the server has answered the first edits"
    slow["now"] = False
    for message in held:
        sockets[-1].send(message)
    page.wait_for_timeout(50)
    assert page.get_attribute(".crop", "style") == "left: 10%; top: 12%; width: 78%; height: 80%;"
    search(page)
    assert "turn=2" in page.url
    assert "crop=0.1000%2C0.1200%2C0.7800%2C0.8000" in page.url
    assert page.get_attribute(".crop", "style") == "left: 10%; top: 12%; width: 78%; height: 80%;"


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
    assert "Rank 2" in page.inner_text("dialog h2")
    page.locator(".view >> nth=0").focus()
    for key in ("+", "+", "ArrowRight"):
        page.keyboard.press(key)
    transforms = page.locator(".layers").evaluate_all("found => found.map(layer => layer.style.transform)")
    assert transforms[0] == transforms[1] != ""
    assert "scale(1.5625)" in transforms[0]
    for level in ("All levels", "low"):
        with page.expect_response(lambda answer: "/overlay" in answer.url and "over=case" in answer.url) as answered:
            page.click(f"dialog .chip:has-text('{level}')")
        assert answered.value.status == 200
    until(page, "[...document.querySelectorAll('.overlay')].filter(o => o.naturalWidth > 0).length === 2")
    assert "blue-whitish veil" in page.inner_text("dialog table.criteria").lower()
    page.screenshot(path=screenshots / "compare.png")
    page.click("#compare-next")
    until(page, "document.querySelector('dialog h2').textContent.includes('Rank 3')")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="hidden")


def test_marked_hits_move_the_query(served: Served, visit: Visit) -> None:
    page, query = visit(served.url), served.others[3]
    choose_image(page, query.image)
    search(page)
    first = ids(page)
    page.click(".mark-yes >> nth=9")
    page.click(".mark-no >> nth=0")
    page.wait_for_selector("text=1 relevant, 1 not relevant")
    page.click("button:has-text('Search again with marks')")
    page.wait_for_selector("text=The query was moved by 2 marked cases.")
    base = served.base
    rows = base.store.get([first[9], first[0]])
    moved = base.encode(image=query.image).moved(
        base.manifest.layout, rows[first[9]].vector[None], rows[first[0]].vector[None]
    )
    assert ids(page) == [hit.case.case_id for hit in base.search_encoded(moved, top_k=10).hits]
    page.click("button:has-text('Clear marks')")
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
    page.click(".card >> nth=0 >> button:has-text('More like this')")
    page.wait_for_selector(f".query .note:has-text('{chosen}')")
    until(page, f"![...document.querySelectorAll('.card code')].some(c => c.textContent === '{chosen}')")
    page.click("text=Back to my own query")
    page.wait_for_selector(".query .drop")


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


def test_an_address_restores_the_query_for_its_owner(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    choose_image(page, served.others[4].image)
    page.fill("#text", "no streaks")
    page.click("button:has-text('Starburst')")
    search(page)
    set_weight(page, "0.9")
    again = visit(page.url)
    again.wait_for_selector(".card code")
    assert ids(again) == ids(page)
    assert again.input_value("#text") == "no streaks"
    assert again.locator(".choice:has-text('Streaks') .chosen").inner_text() == "regular"
    assert again.input_value("#local-weight") == "0.9"
    gone = visit(re.sub(r"image=[^&]+", "image=unknown", page.url), expected=(410,))
    gone.wait_for_selector("text=The image of this query is not kept any more")
    assert gone.input_value("#text") == "no streaks"


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
    assert SCRIPT in page.inner_text("dialog")
    assert page.title() == "Search · dermquery"
    overview = visit(f"{served.url}/base")
    overview.wait_for_selector("canvas")
    assert SCRIPT in overview.inner_text("main")
    assert overview.title() == "Case base · dermquery"


def test_a_case_is_added_and_taken_back(served: Served, visit: Visit) -> None:
    page, other = visit(f"{served.url}/add"), served.others[5]
    page.click("#add-case")
    page.wait_for_selector("text=Choose the image of the case first.")
    choose_image(page, other.image)
    page.fill("#add-case_id", "added")
    page.fill("#add-diagnosis", "mel")
    page.fill("#add-age", "200")
    page.click("#add-case")
    page.wait_for_selector("p.problem:has-text('Age')")
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
    page.wait_for_selector("canvas")
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
    left = visit(f"{guarded}/base", expected=(403,))
    _sign_in(left, "reader")
    left.wait_for_selector("canvas")
    other = left.context.new_page()
    other.goto(guarded)
    left.evaluate("window.dropped = window.socket.io.engine, window.socket.io.reconnectionDelay(4000)")
    left.evaluate("window.socket.io.reconnectionDelayMax(4000), window.dropped.close()")
    other.click("button:has-text('Sign out')")
    other.wait_for_url("**/sign-in*")
    _sign_in(other, "writer")
    other.wait_for_selector("text=Signed in as writer")
    left.wait_for_selector("text=Signed in as writer")
    assert left.url == f"{guarded}/"
    assert "Add cases" in left.inner_text("nav"), "a page of their own, with their rights"


def _sign_in(page: Page, name: str) -> None:
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", "a long pass phrase")
    page.click("button[type=submit]")


def test_the_base_shows_what_it_holds(served: Served, visit: Visit) -> None:
    page = visit(f"{served.url}/base")
    page.wait_for_selector("canvas")
    nevi = served.base.count(["diagnosis=nv"])
    assert f"{nevi} ({100 * nevi / 60:.0f} %)" in page.inner_text(".counts >> nth=0")
    assert served.base.manifest.model_hash in page.inner_text("table.facts >> nth=0")
    seen = sum(bool(point.trained_on) for point in project(served.base).points)
    assert 0 < seen < 60, "the base is drawn with the seed of the demo model's training"
    assert f"hollow: the model was trained on the image ({seen} of these cases)" in page.inner_text(".map .hint")
    page.focus("canvas")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".chosen code")
    chosen = page.inner_text(".chosen code")
    (row,) = served.base.store.get([chosen]).values()
    about = page.inner_text(".chosen .hint")
    assert ("The model was trained on this image" in about) == served.base.trained_on([row.stamp.phash])[0]
    page.click("button:has-text('Look for images')")
    page.wait_for_selector("text=No image occurs twice.")
    page.click(".chosen a")
    page.wait_for_selector(f".query .note:has-text('{chosen}')")
    page.wait_for_selector(".card code")
