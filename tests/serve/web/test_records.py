"""What the pages log of what was seen, and what they write and take back, without a browser."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from dermquery.data.case import Case
from dermquery.data.image import ImageError
from dermquery.serve import errors, web
from dermquery.serve.api import overview, searches
from dermquery.serve.audit_log import AuditLog
from dermquery.serve.fields import CaseFields
from dermquery.serve.security.browsers import BROWSER_COOKIE, browser_of
from dermquery.serve.security.identity import Principal, RefusedError, wider
from dermquery.serve.service import SearchService
from dermquery.serve.settings import ServeSettings
from dermquery.store.casebase import CaseBase
from tests.store.conftest import draw_lesion, make_cases
from tests.store.encoder import ProjectionEncoder


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    """The pages over eight cases, two of which show one image; "eva" is signed in."""
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    cases = make_cases(tmp_path / "cases", 8)
    cases[7] = cases[7].model_copy(update={"image": cases[6].image})
    base.add(cases)
    settings = ServeSettings(base=str(base.uri), state=tmp_path / "state")
    made = FastAPI()
    made.state.settings = settings
    made.state.service, made.state.audit = SearchService(base, settings), AuditLog(tmp_path / "audit")
    made.state.who = Principal("eva", wider({"write"}), "session")
    errors.install(made, made.state.service.metrics)
    made.add_exception_handler(RefusedError, lambda _, error: error.answer())
    for part in (searches, overview):
        made.include_router(part.router)
    web.install(made, made.state.service, settings)

    @made.middleware("http")
    async def signed_in(request: Request, following: Any) -> Any:
        request.state.principal = replace(made.state.who, browser=browser_of(request.cookies))
        return await following(request)

    yield made
    made.state.service.close()
    made.state.audit.close()


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    """Eva's browser, which has been here before."""
    found = TestClient(app, headers={"HX-Request": "true"})
    assert found.get("/add").status_code == 200
    return found


def logged(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]
    return [line for line in lines if line.get("principal") == "eva"]


def sites(app: FastAPI) -> dict[str, Any]:
    return {row.case.case_id: row.case.diagnosis for row in app.state.service.cases()}


def add(client: TestClient, case_id: str, image: Path, **fields: str) -> str:
    """Fill in the form; what the page says."""
    key = client.post("/images", content=image.read_bytes()).json()["key"]
    return client.post("/add", data={"case_id": case_id, "image": key, **fields}).text


def undo_of(said: str) -> dict[str, str]:
    """The form of the undo that the page offers."""
    found = re.search(r'"key": "([^"]+)"', html.unescape(said))
    assert found, said
    return {"key": found[1]}


def test_what_is_shown_is_logged(app: FastAPI, client: TestClient, tmp_path: Path) -> None:
    assert len(client.get("/api/v1/map").json()["points"]) == 8
    found = client.post("/searches", data={"term.streaks": "irregular"})
    address = found.headers["hx-push-url"]
    key = address.split("query=")[1]
    assert client.get(f"/api/v1/searches/{key}/hits.csv?top_k=3").status_code == 200
    assert client.get(f"/compare{address[1:]}&compare=case-001").status_code == 200
    assert client.get("/case?id=case-002").status_code == 200
    assert client.get("/case?id=no+such+case").status_code == 404
    assert client.get("/base/duplicates").status_code == 200
    seen = {line["what"]: line for line in logged(tmp_path / "audit") if line["event"] == "view"}
    assert len(seen["map"]["cases"]) == 8
    assert len(seen["report"]["cases"]) == 3
    assert seen["report"]["search"] == key
    assert seen["compare"]["cases"][0] == "case-001"
    assert seen["case"]["cases"] == ["case-002", "case-003"], "with the strip of its lesion"
    assert seen["duplicates"]["cases"] == ["case-006", "case-007"]
    assert "irregular" not in "".join(map(str, logged(tmp_path / "audit"))), "no word of a query"


def test_an_answer_is_for_the_browser_in_which_it_was_asked_for(
    app: FastAPI, client: TestClient, tmp_path: Path
) -> None:
    image = client.post("/images", content=draw_lesion(tmp_path / "new.png", 77).read_bytes()).json()["key"]
    address = client.post("/searches", data={"image": image}).headers["hx-push-url"]
    key, other = address.split("query=")[1], TestClient(app)
    assert other.get("/add").cookies[BROWSER_COOKIE] != client.cookies[BROWSER_COOKIE]
    for path in (address, f"/queries/{key}/image", f"/images/{image}/image"):
        assert client.get(path).status_code == 200, path
        assert other.get(path).status_code == 410, path
    for path in (f"/api/v1/searches/{key}/hits.json", f"/api/v1/searches/{key}/cases/case-001/overlay"):
        assert other.get(path).status_code in (404, 422), path
        assert client.get(f"/api/v1/searches/{key}/hits.json").status_code == 200
    assert TestClient(app).get(address, cookies={BROWSER_COOKIE: "short"}).status_code == 410


def test_a_bookmark_outlives_the_encoding_of_its_query(app: FastAPI, client: TestClient) -> None:
    address = client.post("/searches", data={"text": "irregular streaks"}).headers["hx-push-url"]
    before = client.get(address).text
    app.state.service._queries._queries.clear()
    assert "hit-1" in client.get(address).text
    assert client.get(address).text.count("data-case=") == before.count("data-case=")


def test_only_the_case_that_was_asked_about_is_replaced(app: FastAPI, client: TestClient, tmp_path: Path) -> None:
    image = draw_lesion(tmp_path / "new.png", 77)
    assert "has a case case-001 already" in add(client, "case-001", image, diagnosis="scar")
    assert "has a case case-002 already" in add(client, "case-002", image, diagnosis="scar", replacing="case-001")
    assert "scar" not in sites(app).values()
    assert "was added" in add(client, "case-002", image, diagnosis="scar", replacing="case-002")
    assert sites(app)["case-002"] == "scar"


@pytest.mark.parametrize("changed", [True, False])
def test_undo_leaves_alone_what_was_changed_since(
    app: FastAPI, client: TestClient, tmp_path: Path, changed: bool
) -> None:
    before = sites(app)["case-001"]
    said = add(client, "case-001", draw_lesion(tmp_path / "new.png", 77), diagnosis="scar", replacing="case-001")
    if changed:
        app.state.service.writer.change(CaseFields(case_id="case-001", diagnosis="blister"), None)
    answer = client.post("/undo", data=undo_of(said))
    assert sites(app)["case-001"] == ("blister" if changed else before)
    assert answer.status_code == (409 if changed else 200)
    if not changed:
        assert client.post("/undo", data=undo_of(said)).status_code == 410, "a second click does nothing"


def test_duplicates_are_merged_and_taken_apart_again(app: FastAPI, client: TestClient) -> None:
    store = app.state.service.base.store
    app.state.service.writer.change(CaseFields(case_id="case-006", checklist={"streaks": "absent"}), None)
    app.state.service.writer.change(
        CaseFields(case_id="case-007", site="back", checklist={"streaks": "regular", "blue_whitish_veil": "present"}),
        None,
    )
    said = client.post("/case/delete", data={"case_id": "case-006", "other": ["case-007"]}).text
    kept = store.get(["case-006", "case-007"])
    assert list(kept) == ["case-006"]
    assert kept["case-006"].case.site == "back"
    assert kept["case-006"].case.checklist == {"streaks": "absent", "blue_whitish_veil": "present"}
    assert client.post("/undo", data=undo_of(said)).status_code == 200
    both = store.get(["case-006", "case-007"])
    assert both["case-006"].case.site is None
    assert both["case-007"].case.site == "back"


@pytest.mark.parametrize(("copies", "rest"), [(1, ""), (6, ""), (9, "and 3 more")])
def test_a_case_names_a_few_of_the_cases_with_its_image(app: FastAPI, copies: int, rest: str) -> None:
    base = app.state.service.base
    image = base.store.get(["case-001"])["case-001"].case.image
    base.add([Case(case_id=f"copy-{i}", image=image) for i in range(copies)])
    warning = TestClient(app).get("/case", params={"id": "case-001"}).text.partition('<p class="warning">')[2]
    warning = warning.partition("</p>")[0]
    assert warning.count("<a ") == min(copies, 6)
    assert warning.rpartition("</a>")[2].strip() == rest


def test_who_may_only_read_writes_nothing(app: FastAPI, client: TestClient) -> None:
    app.state.who = Principal("ben", wider({"read"}), "session")
    for path in ("/add", "/case", "/case/delete", "/undo"):
        assert TestClient(app).post(path, data={"case_id": "case-001"}).status_code == 403, path
    assert len(sites(app)) == 8


def test_what_many_ask_at_once_is_counted_once(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    store, facts, asked = app.state.service.base.store, app.state.service.facts, []
    together, count = Barrier(6), store.value_counts

    def counted(field: str) -> Any:
        asked.append(field)
        time.sleep(0.05)
        return count(field)

    def ask(_: int) -> int:
        together.wait(10)
        return int(facts.count)

    monkeypatch.setattr(store, "value_counts", counted)
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == [8] * 6
    assert asked == ["diagnosis"]
    facts.forget()
    assert (facts.count, asked) == (8, ["diagnosis", "diagnosis"])


def test_a_limit_on_pixels_holds_for_images_that_are_served(app: FastAPI, tmp_path: Path) -> None:
    service = SearchService(
        app.state.service.base, ServeSettings(base="strict", state=tmp_path / "strict", max_pixels=100)
    )
    try:
        with pytest.raises(ImageError, match="more than the limit of 100"):
            service.image("case-001")
    finally:
        service.close()
    assert app.state.service.image("case-001").media_type == "image/png"
