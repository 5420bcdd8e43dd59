"""What the pages log of what was seen, and what they write and take back, without a browser."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from fastapi import FastAPI, Request
from nicegui import Client, ui
from starlette.testclient import TestClient

from dermquery.data.image import ImageError, UprightImage
from dermquery.serve.audit_log import AuditLog
from dermquery.serve.base_facts import BaseFacts
from dermquery.serve.fields import CaseFields
from dermquery.serve.page import texts
from dermquery.serve.page.add_page import AddPage
from dermquery.serve.page.base_page import BasePage
from dermquery.serve.page.frame import Site, Visit
from dermquery.serve.page.routes import router
from dermquery.serve.security.identity import Principal, wider
from dermquery.serve.service import SearchService
from dermquery.serve.settings import ServeSettings
from dermquery.serve.uploads import KeptImages
from dermquery.store.casebase import CaseBase
from tests.loops import run_alone
from tests.store.conftest import draw_lesion, make_cases
from tests.store.encoder import ProjectionEncoder

_WHO = Principal("eva", wider({"write"}), "session")


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    """A page that is open over eight cases, two of which show one image."""
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    cases = make_cases(tmp_path / "cases", 8)
    cases[7] = cases[7].model_copy(update={"image": cases[6].image})
    base.add(cases)
    settings = ServeSettings(base=str(base.uri), state=tmp_path / "state")
    service, audit = SearchService(base, tmp_path / "state"), AuditLog(tmp_path / "audit")
    images = KeptImages(UprightImage.of)
    site = Site(service, settings, images, audit, BaseFacts(base))
    with Client(ui.page("/tested")):
        yield Visit(site, _WHO, "", "token")
    service.close()
    audit.close()


def logged(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]
    return [line for line in lines if line.get("principal") == "eva"]


def browser(site: Site) -> TestClient:
    app = FastAPI()
    app.include_router(router(site))

    @app.middleware("http")
    async def signed_in(request: Request, following: Any) -> Any:
        request.state.principal = _WHO
        return await following(request)

    return TestClient(app)


def test_the_map_and_the_files_of_an_answer_are_logged(visit: Visit, tmp_path: Path) -> None:
    service, client = visit.site.service, browser(visit.site)
    points = client.get("/page/map").json()["points"]
    prepared = service.prepare(visit.owner, None, None, {"streaks": "irregular"})
    for owner, key in ((visit.owner, "own"), ("session bob", "bobs")):
        visit.site.answers.put((owner, key), service.search(prepared, top_k=3))
    assert client.get("/page/answers/own/hits.csv").status_code == 200
    assert client.get("/page/answers/bobs/hits.csv").status_code == 410
    seen = {line["what"]: line for line in logged(tmp_path / "audit") if line["event"] == "view"}
    assert seen["map"]["cases"] == [point["case_id"] for point in points]
    assert len(points) == 8
    assert len(seen["report"]["cases"]) == 3
    assert seen["report"]["search"] == prepared.key


def test_a_chosen_case_and_duplicates_are_logged(visit: Visit, tmp_path: Path) -> None:
    page = BasePage(visit)
    run_alone(page.show_case("case-002"))
    run_alone(page.show_case("no such case"))
    run_alone(page.find_duplicates())
    seen = [(line["what"], line["cases"]) for line in logged(tmp_path / "audit")]
    assert seen == [("case", ["case-002"]), ("duplicates", ["case-006", "case-007"])]


def fill_in(page: AddPage, case_id: str, image: Path, **values: str) -> None:
    kept, _ = page.visit.site.images.keep(page.visit.owner, image.read_bytes())
    page._uploaded({"key": kept.key})
    page._values.update({"case_id": case_id, **values})


def test_only_the_case_that_was_asked_about_is_replaced(visit: Visit, tmp_path: Path) -> None:
    page, base = AddPage(visit), visit.site.service.base
    image = draw_lesion(tmp_path / "new.png", 77)
    fill_in(page, "case-001", image, diagnosis="scar")
    run_alone(page.save())
    assert page.problem._text == texts.ADD_REPLACES.format(case_id="case-001")
    page._values["case_id"] = "case-002"
    run_alone(page.save("case-001"))
    assert page.problem._text == texts.ADD_REPLACES.format(case_id="case-002")
    assert "scar" not in base.store.value_counts("diagnosis")
    run_alone(page.save("case-002"))
    assert base.store.get(["case-002"])["case-002"].case.diagnosis == "scar"


@pytest.mark.parametrize("changed", [True, False])
def test_undo_leaves_alone_what_was_changed_since(visit: Visit, tmp_path: Path, changed: bool) -> None:
    page, service = AddPage(visit), visit.site.service
    image = draw_lesion(tmp_path / "new.png", 77)
    fill_in(page, "case-001", image, diagnosis="scar")
    run_alone(page.save("case-001"))
    undo = page._undo
    assert undo is not None
    if changed:
        service.writer.change(CaseFields(case_id="case-001", diagnosis="blister"), None)
    run_alone(page.undo(undo))
    case = service.base.store.get(["case-001"])["case-001"].case
    assert case.diagnosis == ("blister" if changed else make_cases(tmp_path / "again", 2)[1].diagnosis)
    assert page.problem._text == (texts.ADD_CHANGED.format(case_id="case-001") if changed else "")


def test_a_second_click_on_undo_does_nothing(visit: Visit, tmp_path: Path) -> None:
    page, store = AddPage(visit), visit.site.service.base.store
    fill_in(page, "new", draw_lesion(tmp_path / "new.png", 77))
    run_alone(page.save())
    undo = page._undo
    assert undo is not None

    async def twice() -> None:
        await asyncio.gather(page.undo(undo), page.undo(undo))

    run_alone(twice())
    assert page.undo_button.props["disabled"] == ""
    assert page.problem._text == ""
    assert store.get(["new"]) == {}
    assert [line["event"] for line in logged(tmp_path / "audit")] == ["add", "delete"]


def test_what_many_ask_at_once_is_counted_once(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    store, facts, asked = visit.site.service.base.store, visit.site.facts, []
    together, count = Barrier(6), store.value_counts

    def counted(field: str) -> Any:
        asked.append(field)
        time.sleep(0.05)
        return count(field)

    def ask(_: int) -> int:
        together.wait(10)
        return facts.count

    monkeypatch.setattr(store, "value_counts", counted)
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == [8] * 6
    assert asked == ["diagnosis"]
    facts.forget()
    assert (facts.count, asked) == (8, ["diagnosis", "diagnosis"])


def test_a_limit_on_pixels_holds_for_images_that_are_served(visit: Visit, tmp_path: Path) -> None:
    base = visit.site.service.base
    service = SearchService(base, tmp_path / "strict", max_pixels=100)
    try:
        with pytest.raises(ImageError, match="more than the limit of 100"):
            service.image("case-001")
    finally:
        service.close()
    assert visit.site.service.image("case-001").media_type == "image/png"
