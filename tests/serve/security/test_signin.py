"""The sign-in page and its sessions, as a browser sees them."""

from __future__ import annotations

import re
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.serve.security.attempts import Attempts, marked
from dermquery.serve.security.signin import local_path
from tests.serve.security.app import HOST, PASSWORD, Service, make_service
from tests.serve.security.browser import field, sign_in, submit

ORIGIN = f"http://{HOST}"
SESSION = "dermquery-session"


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return make_service(tmp_path, user="ann", notice="These <cases> are synthetic.")


def cookie(answer: Any, name: str) -> Morsel[str]:
    for header in answer.headers.get_list("set-cookie"):
        found = SimpleCookie(header)
        if name in found:
            return found[name]
    pytest.fail(f"no cookie {name} in {answer.headers.get_list('set-cookie')}")


def test_signing_in_and_out(service: Service) -> None:
    client = service.client()
    answer = submit(client, next_="/cases?site=back")
    assert (answer.status_code, answer.headers["location"]) == (303, "/cases?site=back")
    assert client.get("/api/v1/who").json() == {"name": "ann", "scopes": ["read", "write"], "method": "session"}
    assert client.get("/sign-in", params={"next": "/x"}).headers["location"] == "/x"
    page = client.get("/sign-out").text
    assert "You are signed in as ann." in page
    answer = client.post("/sign-out", data={"csrf": field(page, "csrf")}, headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert client.get("/api/v1/who").status_code == 401
    assert [(line["event"], line["principal"]) for line in service.log()][1:] == [
        ("sign-in", "ann"),
        ("sign-out", "ann"),
    ]


def test_the_cookie(service: Service) -> None:
    answer = submit(service.client())
    found = cookie(answer, SESSION)
    assert found["httponly"] is True
    assert found["samesite"].lower() == "lax"
    assert found["path"] == "/"
    assert not found["domain"]
    assert not found["secure"], "a browser would not send it to http://127.0.0.1"
    assert not found["max-age"], "it ends with the browser"
    assert not found["expires"]


def test_over_tls_the_cookie_is_bound_to_the_host(tmp_path: Path) -> None:
    service = make_service(tmp_path, user="ann", hosts=("cases.example.org",), trusted_proxies=("10.0.0.1",))
    client = service.client(base="https://cases.example.org", address="10.0.0.1")
    client.headers["X-Forwarded-Proto"] = "https"
    answer = submit(client)
    found = cookie(answer, "__Host-dermquery")
    assert found["secure"] is True
    assert (found["path"], found["domain"]) == ("/", "")
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert client.get("/api/v1/who").json()["name"] == "ann"
    weaker = service.client(
        base="https://cases.example.org", address="10.0.0.1", headers={"X-Forwarded-Proto": "https"}
    )
    weaker.cookies.set(SESSION, found.value)
    assert weaker.get("/api/v1/who").status_code == 401, "a cookie that plain HTTP could set must not count over TLS"


@pytest.mark.parametrize("claimed", [{}, {"X-Forwarded-Proto": "https"}])
def test_no_password_over_the_network_without_tls(tmp_path: Path, claimed: dict[str, str]) -> None:
    service = make_service(tmp_path, user="ann", host="192.0.2.1")
    client = service.client(base="http://192.0.2.1:8420", address="192.0.2.77", headers=claimed)
    answer = client.get("/sign-in")
    assert answer.status_code == 403
    assert 'type="password"' not in answer.text
    data = {"name": "ann", "password": PASSWORD, "csrf": "x"}
    answer = client.post("/sign-in", data=data, headers={"Origin": "http://192.0.2.1:8420"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"])
def test_no_password_through_a_proxy_that_is_not_trusted(tmp_path: Path, name: str) -> None:
    """It is on this machine, which says nothing of where the browser is and whether the way there is encrypted."""
    service = make_service(tmp_path, user="ann", hosts=("cases.example.org",))
    base = "http://cases.example.org"
    client = service.client(base=base, headers={name: "https"})
    assert 'type="password"' not in client.get("/sign-in").text
    data = {"name": "ann", "password": PASSWORD, "csrf": "x"}
    answer = client.post("/sign-in", data=data, headers={"Origin": base})
    assert answer.status_code == 403
    assert "trusted_proxies" in answer.text
    assert "set-cookie" not in answer.headers


def test_signing_in_gives_a_new_id_and_ends_the_old_session(service: Service) -> None:
    client = service.client()
    sign_in(client)
    old = client.cookies[SESSION]
    form = service.client()
    page = form.get("/sign-in").text
    form.cookies.set(SESSION, old, domain="127.0.0.1")
    data = {"csrf": field(page, "csrf"), "next": "/", "name": "ann", "password": PASSWORD}
    answer = form.post("/sign-in", data=data, headers={"Origin": ORIGIN})
    new = cookie(answer, SESSION).value
    assert new != old
    assert client.get("/api/v1/who").status_code == 401


def test_an_id_that_somebody_planted_is_not_taken(service: Service) -> None:
    client = service.client()
    client.cookies.set(SESSION, "planted", domain="127.0.0.1")
    answer = submit(client)
    assert cookie(answer, SESSION).value != "planted"
    other = service.client()
    other.cookies.set(SESSION, "planted", domain="127.0.0.1")
    assert other.get("/api/v1/who").status_code == 401


def test_wrong_passwords_and_unknown_names_look_the_same(service: Service) -> None:
    client = service.client()
    wrong, unknown = submit(client, password="wrong password"), submit(client, name="nobody")  # noqa: S106
    assert wrong.status_code == unknown.status_code == 403
    assert _without_nonce(wrong.text) == _without_nonce(unknown.text)
    assert "Name or password is wrong." in wrong.text
    failed = service.log("sign-in-failed")
    assert [(line["principal"], line["name"]) for line in failed] == [(None, "ann"), (None, None)]
    assert "wrong password" not in str(failed)
    assert "nobody" not in str(failed), "it may be a password in the wrong field"


def test_the_form_needs_our_page_and_its_token(service: Service) -> None:
    client = service.client()
    token = field(client.get("/sign-in").text, "csrf")
    data = {"csrf": token, "next": "/", "name": "ann", "password": PASSWORD}
    for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert client.post("/sign-in", data=data, headers=headers).status_code == 403
    for wrong in ("", "x", None):
        answer = client.post("/sign-in", data=data | {"csrf": wrong}, headers={"Origin": ORIGIN})
        assert answer.status_code == 403
        assert "out of date" in answer.text
    without_cookie = service.client().post("/sign-in", data=data, headers={"Origin": ORIGIN})
    assert without_cookie.status_code == 403
    assert SESSION not in client.cookies


def test_signing_out_needs_the_token(service: Service) -> None:
    client = service.client()
    token = sign_in(client)
    for data, origin in (({}, ORIGIN), ({"csrf": "x"}, ORIGIN), ({"csrf": token}, "https://evil.example")):
        assert client.post("/sign-out", data=data, headers={"Origin": origin}).status_code == 403
    assert client.get("/sign-out").status_code == 200
    assert client.get("/api/v1/who").status_code == 200


WRONG = "wrong password"


def test_wrong_passwords_slow_down_who_tries_them_and_nobody_else(service: Service) -> None:
    own = service.client(address="127.0.1.1")
    assert submit(own).status_code == 303
    own.cookies.delete(SESSION)
    attacker = service.client(address="127.0.1.1")
    assert [submit(attacker, password=WRONG).status_code for _ in range(12)] == [403] * 10 + [429] * 2
    stranger = submit(service.client(address="127.0.1.1"))
    assert stranger.status_code == 429, "the right password does not help there while it lasts"
    assert 0 < int(stranger.headers["retry-after"]) <= 2
    assert len(service.log("sign-in-failed")) == 10
    assert submit(service.client(address="127.0.1.2")).status_code == 303, "from elsewhere she may"
    assert submit(own).status_code == 303, "and in the browser that she signed in with before"


def test_the_mark_of_a_browser_is_for_one_person_and_one_password(service: Service) -> None:
    service.users.add("bob", "read", PASSWORD)
    own = service.client(address="127.0.1.1")
    mark = cookie(submit(own), "dermquery-known")
    own.cookies.delete(SESSION)
    assert (mark["path"], mark["httponly"], mark["samesite"].lower()) == ("/sign-in", True, "strict")
    assert [submit(own, password=WRONG).status_code for _ in range(11)] == [403] * 10 + [429]
    assert submit(service.client(address="127.0.1.1")).status_code == 303, "a mark does not slow down others either"
    users = service.users
    assert marked(mark.value, "ann", users.get("ann")) is not None
    assert marked(mark.value, "bob", users.get("bob")) is None
    assert marked(mark.value, "ann", users.get("bob")) is None
    users.set_password("ann", PASSWORD)
    assert marked(mark.value, "ann", users.get("ann")) is None


def test_each_attempt_waits_longer_and_everything_is_forgotten() -> None:
    now, tried, waits = 0.0, Attempts(clock=lambda: now), []
    for _ in range(40):
        while wait := tried.begin("ann", "10.0.0.1", None):
            waits.append(wait)
            now += wait
    assert [round(wait) for wait in waits[:12]] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    now += 3601
    assert tried.begin("ann", "10.0.0.1", None) == 0


def test_many_addresses_guess_no_faster_than_the_name_allows() -> None:
    now, tried, let_in = 0.0, Attempts(clock=lambda: now), 0
    for second in range(3600):
        now = float(second)
        let_in += sum(tried.begin("ann", f"10.0.{second % 200}.{n}", None) == 0 for n in range(10))
    assert let_in < 200 + 3600 / 30 + 10
    assert tried.begin("bob", "10.1.0.1", None) == 0


@pytest.mark.parametrize("mark", ["", ".", "x", "x.", ".y", "x.y", "x.é", "a" * 5000])
def test_marks_that_are_none(service: Service, mark: str) -> None:
    assert marked(mark, "ann", service.users.get("ann")) is None
    assert marked(mark, "nobody", None) is None


def test_attempts_are_slowed_down_by_address(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many names from one address; others are not in the way."""
    monkeypatch.setattr(type(service.users), "check", lambda *_: None)
    client = service.client(address="127.0.1.1")
    statuses = [submit(client, name=f"user{i}").status_code for i in range(32)]
    assert statuses == [403] * 30 + [429] * 2
    assert submit(service.client(address="127.0.1.2"), name="user99").status_code == 403


def test_of_a_name_no_more_is_kept_than_a_name_may_have(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody must fill the memory with names of a megabyte, each of which is counted for itself."""
    monkeypatch.setattr(type(service.users), "check", lambda *_: None)
    statuses = [submit(service.client(), name="a" * 65 + str(i) * 1000).status_code for i in range(12)]
    assert statuses == [403] * 10 + [429] * 2


def test_those_who_know_their_password_are_not_slowed_down(service: Service) -> None:
    assert [submit(service.client()).status_code for _ in range(12)] == [303] * 12


def test_what_a_user_wrote_is_escaped(service: Service) -> None:
    answer = submit(service.client(), name='"><script>alert(1)</script>', next_='/"><script>alert(2)</script>')
    for html in (answer.text, service.client().get("/sign-in", params={"next": '/"><img src=x onerror=a>'}).text):
        assert "<script" not in html
        assert "<img" not in html
    assert "These &lt;cases&gt; are synthetic." in answer.text


def test_the_form_loads_nothing_and_runs_nothing(service: Service) -> None:
    answer = service.client().get("/sign-in")
    policy = answer.headers["content-security-policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce
    assert policy == (
        f"default-src 'none'; style-src 'nonce-{nonce[1]}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert f'<style nonce="{nonce[1]}">' in answer.text
    assert "<script" not in answer.text
    assert not re.search(r'\b(src|style|on\w+)="', answer.text)
    again = service.client().get("/sign-in").headers["content-security-policy"]
    assert again != policy, "a nonce is used once"


def test_without_people_the_page_says_who_can_help(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    service.keys.create("viewer", "read")
    text = service.client().get("/sign-in").text
    assert "dermquery users add" in text
    assert "<form" not in text


def test_under_a_path_of_a_proxy(tmp_path: Path) -> None:
    service = make_service(tmp_path, user="ann", root_path="/derm")
    client = service.client()
    answer = client.get("/cases", headers={"Accept": "text/html"})
    assert answer.headers["location"] == "/derm/sign-in?next=/cases"
    assert 'action="/derm/sign-in"' in client.get("/sign-in").text
    answer = submit(client, next_="/cases")
    assert answer.headers["location"] == "/derm/cases"
    assert client.get("/derm/healthz").status_code == 200


@pytest.mark.parametrize(
    "wanted",
    [None, "", "x", "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "/\t/evil.example",
     "/\n/evil.example", "javascript:alert(1)", "/x\r\nSet-Cookie: a=b", "///evil.example", "/ /evil.example"],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(wanted: str | None) -> None:
    assert local_path(wanted) == "/"


@given(st.text(max_size=40))
def test_where_one_is_sent_is_a_path_of_ours(text: str) -> None:
    path = local_path(text)
    assert re.match(r"/(?![/\\])", path)
    assert path.isprintable()
    assert "\\" not in path


def _without_nonce(html: str) -> str:
    return re.sub(r'nonce="[^"]*"', "", html)
