"""Proxies: whose word counts about who asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from dermquery.serve.security.addresses import Proxies
from dermquery.serve.settings import ServeSettings
from tests.serve.security.app import make_service

TRUSTED = ("10.0.0.0/8", "127.0.0.1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("192.0.2.5", "198.51.100.7", "192.0.2.5"),
        ("10.0.0.2", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.2", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.2", "6.6.6.6, 198.51.100.7, 10.1.1.1, 127.0.0.1", "198.51.100.7"),
        ("10.0.0.2", "10.9.9.9, 10.1.1.1", "10.9.9.9"),
        ("10.0.0.2", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.2", "<script>", "10.0.0.2"),
        ("10.0.0.2", "6.6.6.6, unknown", "10.0.0.2"),
        ("10.0.0.2", "", "10.0.0.2"),
        ("10.0.0.2", None, "10.0.0.2"),
    ],
)
def test_only_trusted_proxies_are_believed(tmp_path: Path, peer: str, forwarded: str | None, seen: str) -> None:
    service = make_service(tmp_path, user="ann", trusted_proxies=TRUSTED)
    key = service.keys.create("reader", "read")

    @service.app.get("/api/v1/seen")
    def what_is_seen(request: Request) -> dict[str, Any]:
        client = request.client.host if request.client else None
        left = [name for name in request.headers if "forwarded" in name]
        return {"client": client, "scheme": request.url.scheme, "left": left}

    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-Proto": "https", "Forwarded": "for=6.6.6.6"}
    headers |= {"X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "//evil.example"}
    headers |= {} if forwarded is None else {"X-Forwarded-For": forwarded}
    answer = service.client(address=peer).get("/api/v1/seen", headers=headers).json()
    trusted = peer.startswith("10.")
    assert answer == {"client": seen, "scheme": "https" if trusted else "http", "left": []}


def test_without_any_trusted_proxy_nobody_is_believed(tmp_path: Path) -> None:
    service = make_service(tmp_path, rate_per_minute=3)
    statuses = [
        service.client().get("/healthz", headers={"X-Forwarded-For": f"198.51.100.{i}"}).status_code for i in range(4)
    ]
    assert statuses == [200, 200, 200, 429], "a made-up address must not give a new allowance"


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"])
def test_open_access_is_not_for_those_behind_a_proxy(tmp_path: Path, name: str) -> None:
    client = make_service(tmp_path).client(headers={name: "198.51.100.7"})
    answer = client.get("/api/v1/who")
    assert (answer.status_code, answer.json()["title"]) == (403, "Unknown proxy")
    assert "trusted_proxies" in answer.json()["detail"]
    assert client.get("/healthz").status_code == 200


addresses = st.ip_addresses(v=4).map(str)


@given(claimed=st.lists(st.one_of(addresses, st.text(max_size=8)), max_size=5), real=addresses)
def test_what_a_client_claims_never_counts(claimed: list[str], real: str) -> None:
    """A proxy appends the address it sees; whatever the client wrote before that changes nothing."""
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["client"][0])

    proxies = Proxies(app, ServeSettings(base="b", state=Path("unused"), trusted_proxies=("203.0.113.1",)))
    header = ", ".join([*claimed, real]).encode("latin-1", "replace")
    scope = {"type": "http", "client": ("203.0.113.1", 1), "scheme": "http", "headers": [(b"x-forwarded-for", header)]}
    _run(proxies(scope, None, None))  # type: ignore[arg-type]
    if real != "203.0.113.1":
        assert seen == [real]


def _run(coroutine: Any) -> None:
    with pytest.raises(StopIteration):
        coroutine.send(None)
