"""The files under deploy/: the proxy's configuration in a real nginx, in front of a real server."""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dermquery.serve.security.sessions import cookie_name
from dermquery.serve.server import server_options
from dermquery.serve.settings import load_settings
from tests.serve.security.app import PASSWORD, Service, make_service
from tests.serve.security.browser import field
from tests.waiting import until

DEPLOY = Path(__file__).parents[3] / "deploy"
NAME = "cases.example.org"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "cert.pem", folder / "cert.key"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, secret


class Proxied:
    """The service behind nginx, and connections to it by TLS that check its certificate."""

    def __init__(self, service: Service, port: int, plain_port: int, pem: Path) -> None:
        self.service, self.port, self.plain_port = service, port, plain_port
        self.errors = pem.with_name("error.log")
        self.tls = ssl.create_default_context(cafile=str(pem))
        self.origin = f"https://{NAME}:{port}"

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], str]:
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection = http.client.HTTPSConnection(NAME, self.port, timeout=20)
        connection.sock = self.tls.wrap_socket(raw, server_hostname=NAME)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            found: dict[str, str] = {}
            for name, value in answer.getheaders():
                found[name.lower()] = f"{found[name.lower()]}, {value}" if name.lower() in found else value
            return answer.status, found, answer.read().decode()
        finally:
            connection.close()

    def sign_in(self) -> str:
        """Sign in; gives the session's cookie."""
        _, headers, page = self.ask("GET", "/sign-in")
        form = headers["set-cookie"].partition(";")[0]
        body = f"csrf={field(page, 'csrf')}&next=/&name=ann&password={PASSWORD.replace(' ', '+')}"
        kind = "application/x-www-form-urlencoded"
        status, headers, page = self.ask("POST", "/sign-in", body, Origin=self.origin, Cookie=form, Content_Type=kind)
        assert status == 303, page
        found = re.search(rf"{cookie_name(secure=True)}=[\w-]+", headers["set-cookie"])
        assert found
        return found[0]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    if NGINX is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("proxy")
    folder.chmod(0o755)  # nginx's workers are another user if root runs the tests
    port, plain, behind = free_port(), free_port(), free_port()
    service = make_service(
        folder / "state", user="ann", hosts=(NAME,), trusted_proxies=("127.0.0.1",), port=behind, upload_bytes=100_000
    )
    server = uvicorn.Server(uvicorn.Config(service.app, **server_options(service.settings), log_level="warning"))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    pem, _ = certificate(folder)
    nginx = subprocess.Popen([NGINX, "-c", str(configuration(folder, port, plain, behind)), "-p", str(folder)])
    try:
        wait_for(port)
        wait_for(behind)
        yield Proxied(service, port, plain, pem)
    finally:
        nginx.terminate()
        nginx.wait(10)
        server.should_exit = True
        thread.join(10)


def configuration(folder: Path, port: int, plain: int, behind: int) -> Path:
    """deploy/nginx.conf with other ports and certificates; nothing else is changed."""
    text = (DEPLOY / "nginx.conf").read_text()
    changes = {
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
        "listen [::]:443 ssl http2;": "",
        "/var/log/nginx/error.log": str(folder / "error.log"),
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen [::]:80;": "",
        "/etc/ssl/certs/cases.example.org.pem": str(folder / "cert.pem"),
        "/etc/ssl/private/cases.example.org.key": str(folder / "cert.key"),
        "http://127.0.0.1:8420": f"http://127.0.0.1:{behind}",
    }
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    assert text.count("client_header_timeout 15s;") == 2  # of either server; nobody should wait for it here
    text = text.replace("client_header_timeout 15s;", "client_header_timeout 1s;")
    assert text.count("client_body_timeout 15s;") == 1  # a busy machine takes longer to begin 64 requests
    text = text.replace("client_body_timeout 15s;", "client_body_timeout 600s;")
    (folder / "dermquery.conf").write_text(text)
    paths = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in _TEMPORARY)
    main = f"daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
    main += f"http {{ {paths} include {folder}/dermquery.conf; }}\n"
    (folder / "main.conf").write_text(main)
    assert NGINX is not None
    checked = subprocess.run(
        [NGINX, "-t", "-c", str(folder / "main.conf")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    return folder / "main.conf"


def wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"nothing listens at port {port}")


def test_plain_http_leads_to_tls(proxied: Proxied) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxied.plain_port, timeout=20)
    connection.request("GET", "/cases?x=1", headers={"Host": NAME})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Location")) == (301, f"https://{NAME}/cases?x=1")
    connection.close()


def test_a_person_signs_in_over_tls(proxied: Proxied) -> None:
    status, headers, _ = proxied.ask("GET", "/", Accept="text/html")
    assert (status, headers["location"]) == (303, "/sign-in?next=/")
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert headers["server"] == "nginx"
    cookie = proxied.sign_in()
    status, _, body = proxied.ask("GET", "/api/v1/who", Cookie=cookie)
    assert (status, '"name":"ann"' in body) == (200, True)
    assert proxied.ask("POST", "/api/v1/change", "", Cookie=cookie, Origin=proxied.origin)[0] == 403
    page = proxied.ask("GET", "/sign-out", Cookie=cookie)[2]
    token = field(page, "csrf")
    sent = {"Cookie": cookie, "Origin": proxied.origin, "X_CSRF_Token": token}
    assert proxied.ask("POST", "/api/v1/change", "", **sent)[0] == 200
    assert proxied.ask("POST", "/api/v1/change", "", **sent | {"Origin": "https://evil.example"})[0] == 403


def test_the_log_has_the_clients_address_and_not_what_it_claims(proxied: Proxied) -> None:
    before = len(proxied.service.log("refused"))
    proxied.ask("GET", "/api/v1/who", Authorization="Bearer wrong", X_Forwarded_For="198.51.100.66")
    (line,) = proxied.service.log("refused")[before:]
    assert line["address"] == "127.0.0.1"


def test_the_proxy_writes_down_no_address_of_a_case(proxied: Proxied) -> None:
    """Not even with an error: nginx refuses this one itself, which its log would say with the request's line."""
    assert proxied.ask("POST", "/api/v1/cases/a-case", Content_Length=str(600 << 20))[0] == 413
    assert "a-case" not in proxied.errors.read_text()


def test_limits_hold_through_the_proxy(proxied: Proxied) -> None:
    key = proxied.service.keys.create("uploads", "write")
    authorization = f"Bearer {key}"
    status, _, body = proxied.ask("POST", "/api/v1/body", b"x" * 100_000, Authorization=authorization)
    assert (status, body) == (200, '{"bytes":100000}')
    status, headers, body = proxied.ask("POST", "/api/v1/body", b"x" * 100_001, Authorization=authorization)
    assert (status, headers["content-type"]) == (413, "application/problem+json")


@pytest.mark.parametrize("sent", [b"", b"GET", b"GET /healthz HTTP/1.1\r\nHost: cases.example.org\r\nX-Slow: "])
@pytest.mark.parametrize("plain", [True, False])
def test_half_a_request_does_not_stay(proxied: Proxied, sent: bytes, plain: bool) -> None:
    raw = socket.create_connection(("127.0.0.1", proxied.plain_port if plain else proxied.port), timeout=10)
    connection = raw if plain else proxied.tls.wrap_socket(raw, server_hostname=NAME)
    if sent:
        connection.sendall(sent)
    began, answer = time.monotonic(), b"x"
    try:
        while answer:
            answer = connection.recv(1000)  # 408, or nothing
    except ConnectionError:
        pass
    assert 0.5 < time.monotonic() - began < 30, "nginx itself would wait for a minute"
    connection.close()


def test_an_address_has_no_more_than_64_requests_under_way(proxied: Proxied) -> None:
    key = proxied.service.keys.create("many", "write")
    head = f"POST /api/v1/body HTTP/1.1\r\nHost: {NAME}\r\nX-API-Key: {key}\r\nContent-Length: 1000\r\n\r\n"
    held = []
    for _ in range(64):
        raw = socket.create_connection(("127.0.0.1", proxied.port), timeout=10)
        connection = proxied.tls.wrap_socket(raw, server_hostname=NAME)
        connection.sendall(head.encode())
        held.append(connection)
    until(lambda: proxied.ask("GET", "/healthz")[0] == 429)
    assert proxied.ask("GET", "/healthz")[1]["server"] == "nginx"
    for connection in held:
        connection.close()
    until(lambda: proxied.ask("GET", "/healthz")[0] == 200)


@pytest.mark.parametrize("file", ["serve.toml", "serve.container.toml"])
def test_the_settings_can_be_read(file: str) -> None:
    settings = load_settings(DEPLOY / file)
    assert str(settings.state) == "/var/lib/dermquery/state"


def test_the_commented_settings_can_be_read_too(tmp_path: Path) -> None:
    text = re.sub(r"^# (?=\[|\w+ = )", "", (DEPLOY / "serve.toml").read_text(), flags=re.MULTILINE)
    (tmp_path / "serve.toml").write_text(text)
    settings = load_settings(tmp_path / "serve.toml")
    assert settings.notice
    assert settings.oidc is not None
    assert settings.oidc.scopes["curator"] == "write"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit_is_valid_and_hardened(tmp_path: Path) -> None:
    """With the program replaced by one that exists; an exposure of 10 is none of the protections."""
    unit = tmp_path / "dermquery.service"
    text = (DEPLOY / "dermquery.service").read_text()
    unit.write_text(text.replace("/opt/dermquery/bin/dermquery", sys.executable))
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-200:]
