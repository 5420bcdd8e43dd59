"""The real service with authentication: no route is forgotten, and no scope does more than it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from dermquery.serve.audit_chain import read_lines
from dermquery.serve.audit_log import Verified, verify
from dermquery.serve.security.api_keys import KeyFile
from dermquery.store.casebase import CaseBase
from tests.serve.conftest import Served, serving
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder

PUBLIC = ("/healthz", "/readyz", "/sign-in")


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str]]]:
    """A service with one key for each scope."""
    folder = tmp_path_factory.mktemp("locked")
    cases = make_cases(folder / "cases", 6)
    base = CaseBase.create(folder / "base", ProjectionEncoder())
    base.add(cases)
    keys = KeyFile(folder / "state" / "keys.json")
    made = {scope: keys.create(scope, scope) for scope in ("read", "write", "admin")}
    with serving(base, folder / "state", cases) as running:
        yield running, made


def routes_of(router: Any) -> Iterator[Route]:
    """All routes, those of included routers too."""
    for route in router.routes:
        included = getattr(route, "original_router", None)  # how FastAPI keeps them
        yield from routes_of(included) if included is not None else [route]


def operations(served: Served) -> list[tuple[str, str]]:
    """Method and an address for every route of the app."""
    found = []
    for route in routes_of(served.app):
        path = re.sub(r"\{\w+:path\}", "x/y", route.path)
        path = re.sub(r"\{case_id\}", served.cases[0].case_id, path)
        found += [(method, re.sub(r"\{\w+\}", "x", path)) for method in sorted(route.methods or ())]
    return found


def ask(served: Served, method: str, path: str, key: str | None = None, **sent: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.request(method, served.url + path, headers=headers, timeout=30, trust_env=False, **sent)


def test_without_a_key_every_route_is_closed(locked: tuple[Served, dict[str, str]]) -> None:
    served, _ = locked
    known = operations(served)
    assert {"/api/v1/info", "/api/v1/jobs", "/metrics", "/api/v1/openapi.json", "/sign-out"} <= {
        path for _, path in known
    }
    answers = {(method, path): ask(served, method, path).status_code for method, path in known if path not in PUBLIC}
    assert set(answers.values()) == {401}, {operation for operation, status in answers.items() if status != 401}
    for path in PUBLIC:
        assert ask(served, "GET", path).status_code == 200
        assert ask(served, "DELETE", path).status_code == 405


def test_reading_changes_nothing(locked: tuple[Served, dict[str, str]]) -> None:
    """Whatever changes the base or a job is refused to a key that may read; searches are no changes."""
    served, keys = locked
    changing = [
        (method, path)
        for method, path in operations(served)
        if method in ("POST", "PUT", "PATCH", "DELETE")
        and path.startswith(("/api/v1/cases", "/api/v1/jobs"))
        and not path.endswith(("/similar", "x/y"))
    ]
    assert {("POST", "/api/v1/cases"), ("POST", "/api/v1/jobs")} <= set(changing)
    answers = {(method, path): ask(served, method, path, keys["read"]).status_code for method, path in changing}
    real = {operation: status for operation, status in answers.items() if status not in (404, 405)}
    assert len(real) >= 4
    assert set(real.values()) == {403}, real
    assert len(served.base) == len(served.cases)


def test_the_log_says_who_searched_viewed_and_changed(locked: tuple[Served, dict[str, str]]) -> None:
    served, keys = locked
    case = served.cases[0]
    assert case.image is not None
    picture = Path(case.image).read_bytes()
    answer = ask(
        served, "POST", "/api/v1/searches", keys["read"],
        files={"image": ("secret-name.png", picture)}, data={"text": "atypical network"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert ask(served, "GET", f"/api/v1/cases/{case.case_id}", keys["read"]).status_code == 200
    assert ask(served, "GET", f"/api/v1/cases/{case.case_id}/image", keys["read"]).status_code == 200
    assert ask(served, "DELETE", f"/api/v1/cases/{served.cases[1].case_id}", keys["write"]).status_code == 204
    noted = [(line["event"], line["principal"]) for line in read_lines(served.state / "audit")]
    for expected in (("search", "read"), ("view", "read"), ("delete", "write")):
        assert expected in noted
    (search,) = [line for line in read_lines(served.state / "audit") if line["event"] == "search"]
    assert re.fullmatch("[0-9a-f]{64}", search["image"])
    assert isinstance(verify(served.state / "audit"), Verified)
    written = "".join(path.read_text() for path in (served.state / "audit").glob("*.jsonl"))
    assert not [key for key in keys.values() if key in written or key.split("_", 2)[2] in written]
    assert "secret-name" not in written
    assert not (served.state / "queries").exists(), "query images are not kept unless configured"
