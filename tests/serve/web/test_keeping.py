"""Cases, the base, and people: adding, taking back, signing in, browsing; in a real browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page

from dermquery.store.projection import project
from tests.serve.web.conftest import (
    Served,
    Visit,
    choose_image,
    ids,
    search,
    settled,
    until,
)

pytestmark = pytest.mark.slow

TEXT = "atypical network, blue-whitish veil"


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
