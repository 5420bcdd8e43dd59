"""Which names and pages may ask: DNS rebinding, CORS and CSRF."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serve.security.app import HOST, Service, bearer, make_service
from tests.serve.security.browser import sign_in

EVIL = "https://evil.example"


@pytest.fixture
def open_service(tmp_path: Path) -> Service:
    return make_service(tmp_path)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return make_service(tmp_path, user="ann")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9", "localhost:8420", "[::1]:8420", "LOCALHOST"])
def test_names_of_this_machine(open_service: Service, host: str) -> None:
    assert open_service.client().get("/api/v1/who", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "evil.example:8420", "localhost.evil.example", "192.0.2.1", "",
     "a@localhost", "localhost/x", "localhost:x", "127.0.0.2.", "[::2]"],
)  # fmt: skip
def test_other_names_are_not_served(open_service: Service, host: str) -> None:
    """DNS rebinding: a name of the attacker's that resolves to 127.0.0.1."""
    answer = open_service.client().get("/api/v1/who", headers={"Host": host})
    assert answer.status_code == 421


def test_names_that_are_configured(tmp_path: Path) -> None:
    service = make_service(tmp_path, user="ann", hosts=("cases.example.org",))
    assert service.client().get("/healthz", headers={"Host": "Cases.Example.org"}).status_code == 200
    assert service.client().get("/healthz", headers={"Host": "other.example.org"}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": f"https://{HOST}"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://localhost:8420"},
        {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/change"), ("GET", "/api/v1/who"), ("POST", "/sign-in")])
def test_pages_of_others_cannot_ask_an_open_service(
    open_service: Service, headers: dict[str, str], method: str, path: str
) -> None:
    answer = open_service.client().request(method, path, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["title"] == "Another origin"
    assert open_service.log("refused")[0]["why"] == "Another origin"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": f"http://{HOST}"},
        {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_our_own_page_and_programs_can(open_service: Service, headers: dict[str, str]) -> None:
    assert open_service.client().post("/api/v1/change", headers=headers).status_code == 200


def test_a_link_from_elsewhere_opens_the_page_and_no_more(open_service: Service) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert open_service.client().get("/", headers=link).status_code == 200
    assert open_service.client().post("/api/v1/change", headers=link).status_code == 403


def test_no_cors_unless_configured(tmp_path: Path, service: Service) -> None:
    key = service.keys.create("viewer", "read")
    preflight = {
        "Origin": EVIL,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    answer = service.client().options("/api/v1/who", headers=preflight)
    assert answer.status_code == 401
    assert not any(name.startswith("access-control") for name in answer.headers)
    answer = service.client().get("/api/v1/who", headers=bearer(key) | {"Origin": EVIL})
    assert not any(name.startswith("access-control") for name in answer.headers)

    other = make_service(tmp_path / "cors", user="ann", cors_origins=("https://viewer.example",))
    good = preflight | {"Origin": "https://viewer.example"}
    answer = other.client().options("/api/v1/who", headers=good)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://viewer.example"
    assert "access-control-allow-credentials" not in answer.headers
    assert other.client().options("/api/v1/who", headers=preflight).status_code == 400
    client = other.client()
    token = sign_in(client)
    cookie = client.post("/api/v1/change", headers={"Origin": "https://viewer.example", "X-CSRF-Token": token})
    assert cookie.status_code == 403, "an allowed origin may use keys, never somebody's cookie"


def test_changes_by_cookie_need_origin_and_token(service: Service) -> None:
    client = service.client()
    token = sign_in(client)
    ours = {"Origin": f"http://{HOST}"}
    assert client.post("/api/v1/change", headers=ours | {"X-CSRF-Token": token}).json() == {"changed_by": "ann"}
    for headers in (
        ours,
        ours | {"X-CSRF-Token": ""},
        ours | {"X-CSRF-Token": token[:-1]},
        ours | {"X-CSRF-Token": token + "%00"},
        {"X-CSRF-Token": token},
        {"X-CSRF-Token": token, "Origin": EVIL},
        {"X-CSRF-Token": token, "Sec-Fetch-Site": "cross-site"},
    ):
        assert client.post("/api/v1/change", headers=headers).status_code == 403, headers
    assert client.get("/api/v1/who").json()["method"] == "session"


def test_a_key_needs_no_token_and_no_origin_of_ours_unless_a_page_sends_it(service: Service) -> None:
    key, client = service.keys.create("writer", "write"), service.client()
    assert client.post("/api/v1/change", headers=bearer(key)).status_code == 200
    answer = client.post("/api/v1/change", headers=bearer(key) | {"Origin": EVIL})
    assert answer.status_code == 403, "a proxy may have added the key to what a foreign page asks"
    assert client.get("/api/v1/who", headers=bearer(key) | {"Origin": EVIL}).status_code == 200


def test_a_token_is_of_one_session(service: Service) -> None:
    first, second = service.client(), service.client()
    token = sign_in(first)
    sign_in(second)
    headers = {"Origin": f"http://{HOST}", "X-CSRF-Token": token}
    assert second.post("/api/v1/change", headers=headers).status_code == 403
