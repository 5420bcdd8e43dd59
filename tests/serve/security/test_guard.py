"""The chain as a whole: who gets in, from where, how often; and what is put down about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import Request
from starlette.websockets import WebSocketDisconnect

from dermquery.serve.security.api_keys import KeyFile
from dermquery.serve.security.identity import principal_of
from tests.serve.security.app import HOST, Service, bearer, make_service
from tests.serve.security.browser import sign_in

EVIL = "https://evil.example"


@pytest.fixture
def open_service(tmp_path: Path) -> Service:
    return make_service(tmp_path)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return make_service(tmp_path, user="ann")


def test_open_on_this_machine(open_service: Service) -> None:
    found = open_service.client().get("/api/v1/who").json()
    assert found == {"name": "local", "scopes": ["admin", "read", "write"], "method": "open"}


def test_what_is_set_up_while_it_runs_closes_it_for_good(open_service: Service) -> None:
    client = open_service.client()
    assert client.get("/api/v1/who").status_code == 200
    key = open_service.keys.create("viewer", "read")
    assert client.get("/api/v1/who").status_code == 401
    assert client.get("/api/v1/who", headers=bearer(key)).json()["name"] == "viewer"
    open_service.keys.revoke("viewer")
    assert client.get("/api/v1/who").status_code == 401, "revoking the last key must not open the door"
    assert [line["event"] for line in open_service.log()] == ["start", "key-made", "key-removed"]


@pytest.mark.parametrize("running", [False, True], ids=["set up before the start", "set up while it runs"])
def test_it_stays_closed_if_nobody_ever_came_without_a_key(tmp_path: Path, running: bool) -> None:
    """A request with a key never asks whether the service is open, so another one must not find out too late."""
    service = make_service(tmp_path) if running else None
    key = KeyFile(tmp_path / "keys.json").create("viewer", "read")
    service = service or make_service(tmp_path)
    client = service.client()
    assert client.get("/api/v1/who", headers=bearer(key)).status_code == 200
    service.keys.revoke("viewer")
    assert client.get("/api/v1/who").status_code == 401


def test_keys_in_either_header(service: Service) -> None:
    key, client = service.keys.create("viewer", "read"), service.client()
    expected = {"name": "viewer", "scopes": ["read"], "method": "key"}
    assert client.get("/api/v1/who", headers=bearer(key)).json() == expected
    assert client.get("/api/v1/who", headers={"X-API-Key": key}).json() == expected
    assert client.get("/api/v1/who", headers={"authorization": f"bearer {key}"}).json() == expected


@pytest.mark.parametrize("sent", ["Bearer", "Bearer ", "Bearer dq_x", "Basic YW5uOngK", "Bearer a b", ""])
def test_nobody_else_gets_in(service: Service, sent: str) -> None:
    answer = service.client().get("/api/v1/who", headers={"Authorization": sent})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert {"type", "title", "status", "detail"} <= answer.json().keys()


def test_a_wrong_key_goes_before_a_good_cookie(service: Service) -> None:
    """Whoever sends a key means it; falling back would hide that it was revoked."""
    client = service.client()
    sign_in(client)
    assert client.get("/api/v1/who").status_code == 200
    assert client.get("/api/v1/who", headers=bearer("wrong")).status_code == 401


def test_scopes(service: Service) -> None:
    client = service.client()
    read, write = service.keys.create("reader", "read"), service.keys.create("writer", "write")
    refused = client.post("/api/v1/change", headers=bearer(read))
    assert refused.status_code == 403
    assert "'write'; reader has read" in refused.json()["detail"]
    assert client.post("/api/v1/change", headers=bearer(write)).json() == {"changed_by": "writer"}
    (line,) = service.log("refused")
    assert (line["principal"], line["status"], line["path"]) == ("reader", 403, "POST /api/v1/change")


def test_pages_lead_to_the_form_and_programs_get_a_problem(service: Service) -> None:
    client = service.client()
    html = {"Accept": "text/html,*/*;q=0.8"}
    answer = client.get("/cases?site=back&x=%2F", headers=html)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/cases%3Fsite%3Dback%26x%3D%252F"
    assert client.get("/", headers={"Accept": "application/json"}).status_code == 401
    assert client.get("/api/v1/who", headers=html).status_code == 401
    assert client.get("/metrics", headers=html).status_code == 401
    assert client.post("/cases", headers=html).status_code == 401
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/static/0123456789ab/x.js", headers=html).status_code == 401


@pytest.mark.parametrize(
    "path", ["/healthz/../api/v1/who", "//healthz", "/healthz/", "/sign-in/../api/v1/who", "/HEALTHZ", "/api/v1/who/"]
)
def test_no_way_around_by_another_spelling(service: Service, path: str) -> None:
    answer = service.client().get(f"http://{HOST}{path}")
    assert answer.status_code in (401, 307, 404)
    assert "name" not in answer.text or answer.status_code == 401


def test_accounts_that_cannot_be_read_let_nobody_in(service: Service) -> None:
    key = service.keys.create("viewer", "read")
    service.settings.keys_file.write_text("{")
    answer = service.client().get("/api/v1/who", headers=bearer(key))
    assert answer.status_code == 503
    assert str(service.settings.state) not in answer.text


def test_what_cannot_be_logged_is_not_done(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    @service.app.post("/api/v1/logged")
    def logged(request: Request) -> None:
        done.append("done")
        service.audit.write("add", principal_of(request), case="x")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    key, client = service.keys.create("writer", "write"), service.client()
    assert client.post("/api/v1/logged", headers=bearer(key)).status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr("dermquery.serve.audit_log._write_all", full)
        answer = client.post("/api/v1/logged", headers=bearer(key))
    assert (answer.status_code, answer.json()["title"]) == (503, "Not in order")
    assert str(service.settings.state) not in answer.text
    assert client.post("/api/v1/logged", headers=bearer(key)).status_code == 503
    assert len(done) == 2, "what follows is refused before it is done"
    assert client.get("/healthz").status_code == 200


def test_refusals_are_put_down_without_the_secret(service: Service) -> None:
    key = service.keys.create("viewer", "read")
    service.keys.revoke("viewer")
    service.client(address="192.0.2.9").get("/api/v1/who", headers=bearer(key))
    (line,) = service.log("refused")
    assert (line["principal"], line["address"], line["path"]) == (None, "192.0.2.9", "/api/v1/who")
    assert key not in "".join(path.read_text() for path in service.settings.audit_folder.glob("*.jsonl"))


def test_rate_per_principal_and_address(tmp_path: Path) -> None:
    service = make_service(tmp_path, user="ann", rate_per_minute=5)
    client, other = service.client(), service.client(address="192.0.2.9")
    keys = [service.keys.create(name, "read") for name in ("first", "second")]
    statuses = [client.get("/api/v1/who", headers=bearer(keys[0])).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    refused = other.get("/api/v1/who", headers=bearer(keys[0]))
    assert refused.status_code == 429, "a key is one principal, from wherever"
    assert 1 <= int(refused.headers["retry-after"]) <= 12
    assert refused.headers["content-type"] == "application/problem+json"
    assert client.get("/api/v1/who", headers=bearer(keys[1])).status_code == 200
    assert [other.get("/healthz").status_code for _ in range(6)] == [200] * 5 + [429]
    assert client.get("/healthz").status_code == 200


def test_pictures_cost_a_tenth(tmp_path: Path) -> None:
    client = make_service(tmp_path, rate_per_minute=5).client()
    statuses = [client.get("/api/v1/cases/a/thumbnail").status_code for _ in range(52)]
    assert 429 not in statuses[:50]
    assert statuses[-1] == 429


def test_guessing_keys_is_slowed_down(tmp_path: Path) -> None:
    service = make_service(tmp_path, user="ann", rate_per_minute=5)
    guesses = [service.client().get("/api/v1/who", headers=bearer(f"dq_{i}")).status_code for i in range(8)]
    assert guesses == [401] * 5 + [429] * 3
    assert len(service.log("refused")) == 5, "a flood must not fill the log"


def test_no_websocket_is_taken(open_service: Service) -> None:
    with pytest.raises(WebSocketDisconnect), open_service.client().websocket_connect(f"ws://{HOST}/socket"):
        pass
