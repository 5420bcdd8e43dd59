"""Hits that open in the archive's viewer: one address from the settings to the page, the API and the files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dermquery.serve.app import create_app
from dermquery.serve.settings import ServeSettings, load_settings
from dermquery.store.casebase import CaseBase
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder

LINK = "https://pacs.example.org/viewer?StudyInstanceUIDs=2.25.7"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A browser on a service with a viewer, over two cases of which the first is known to the archive."""
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    first, second = make_cases(tmp_path / "cases", 2)
    base.add([first.model_copy(update={"study_uid": "2.25.7"}), second])
    config = tmp_path / "serve.toml"
    config.write_text('[serve]\nviewer = "https://pacs.example.org/viewer?StudyInstanceUIDs={study}"\n')
    app = create_app(load_settings(config, base=str(base.uri), state=tmp_path / "state"), base)
    with TestClient(app, "http://127.0.0.1:8420", client=("127.0.0.1", 5000)) as found:
        assert found.get("/add").status_code == 200  # it has been here before
        yield found


def links(page: str) -> list[str]:
    return re.findall(r'href="(https://pacs[^"]*)" target="_blank" rel="noopener noreferrer"', page)


def test_the_page_leads_to_it(client: TestClient) -> None:
    sent = client.post("/searches", data={"term.streaks": "irregular"}, headers={"HX-Request": "true"})
    assert links(sent.text) == [LINK]
    address = sent.headers["hx-push-url"]
    assert links(client.get(f"/compare{address[1:]}&compare=case-000").text) == [LINK]
    assert links(client.get(f"/compare{address[1:]}&compare=case-001").text) == []
    assert links(client.get("/case?id=case-000").text) == [LINK]
    assert links(client.get("/case?id=case-001").text) == []


def test_the_api_and_its_files_name_it(client: TestClient) -> None:
    answer = client.post("/api/v1/searches", data={"text": "irregular streaks"}).json()
    expected = [LINK if hit["case"]["case_id"] == "case-000" else None for hit in answer["hits"]]
    assert [hit["viewer"] for hit in answer["hits"]] == expected
    files = {
        ending: client.get(f"/api/v1/searches/{answer['search']}/hits.{ending}")
        for ending in ("json", "csv", "html", "pdf", "fhir.json")
    }
    assert [hit["viewer"] for hit in files["json"].json()["hits"]] == expected
    assert all(LINK in files[ending].text for ending in ("html", "fhir.json"))
    assert "2.25.7" not in files["csv"].text
    assert LINK.encode() in files["pdf"].content
    assert files["fhir.json"].headers["content-type"] == "application/fhir+json"
    assert files["fhir.json"].json()["resourceType"] == "Bundle"
    assert "dermquery-hits.fhir.json" in files["fhir.json"].headers["content-disposition"]


@pytest.mark.parametrize("template", ["javascript:alert(1)//{study}", "https://pacs/{patient}{study}", 7])
def test_a_viewer_that_is_none_stops_the_start(tmp_path: Path, template: object) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(f"[serve]\nbase = 'b'\nviewer = {json.dumps(template)}\n")
    with pytest.raises(ValueError, match=r"serve\.viewer"):
        load_settings(file)
    assert ServeSettings(base="b").viewer is None
