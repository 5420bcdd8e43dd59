"""What browsers are told about every answer."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from fastapi import Response

import dermquery.serve
from tests.serve.security.app import HOST, Service, make_service

STRICT = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return make_service(tmp_path, upload_bytes=2048, rate_per_minute=50)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/api/v1/who", {}, 200),
        ("GET", "/api/v1/cases/a/thumbnail", {}, 200),
        ("GET", "/healthz", {}, 200),
        ("GET", "/", {}, 200),
        ("GET", "/nothing", {}, 404),
        ("DELETE", "/api/v1/who", {}, 405),
        ("GET", "/api/v1/who", {"Authorization": "Bearer wrong"}, 401),
        ("GET", "/api/v1/who", {"Origin": "https://evil.example"}, 403),
        ("POST", "/api/v1/body", {"Content-Length": "9999"}, 413),
        ("GET", "/api/v1/who", {"Host": "evil.example"}, 421),
    ],
)
def test_every_answer_has_them(service: Service, method: str, path: str, headers: dict[str, str], status: int) -> None:
    answer = service.client().request(method, path, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-security-policy"] == STRICT
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["permissions-policy"].startswith("camera=(self), microphone=()")
    assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers
    assert "server" not in answer.headers


def test_a_page_brings_its_own_policy(service: Service) -> None:
    @service.app.get("/page")
    def page(response: Response) -> None:
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        response.headers["Cache-Control"] = "public, max-age=60"
        response.headers["Server"] = "x"

    answer = service.client().get("/page")
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert answer.headers["cache-control"] == "no-store", "it may show cases"
    assert "server" not in answer.headers


def test_only_files_of_the_page_may_be_cached(service: Service) -> None:
    @service.app.get("/static/0123456789ab/x.js")
    @service.app.get("/compare")
    def file(response: Response) -> None:
        response.headers["Cache-Control"] = "public, max-age=60"

    client = service.client()
    assert client.get("/static/0123456789ab/x.js").headers["cache-control"] == "public, max-age=60"
    assert client.get("/compare").headers["cache-control"] == "no-store"


def test_over_tls_browsers_stay_with_it(tmp_path: Path) -> None:
    service = make_service(tmp_path)
    answer = service.client(base=f"https://{HOST}").get("/healthz")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_the_service_has_nothing_to_fetch_addresses_with() -> None:
    """No request of a user can make the service ask another one: no module of it imports a client."""
    clients = {"httpx", "requests", "urllib3", "aiohttp", "urllib.request", "http.client", "ftplib", "socket", "fsspec"}
    allowed = {("security/binding.py", "socket")}  # resolves the name of its own host
    folder = Path(dermquery.serve.__file__).parent
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            found |= {(str(path.relative_to(folder)), name) for name in names if name in clients}
    assert found <= allowed
