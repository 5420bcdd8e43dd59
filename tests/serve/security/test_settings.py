"""Settings, and the rule that nobody is let in from elsewhere without authentication."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.serve.security.api_keys import KeyFile
from dermquery.serve.security.binding import authentication, check_binding, is_loopback
from dermquery.serve.security.users import UserFile
from dermquery.serve.settings import ServeSettings, default_state, load_settings
from tests.serve.security.app import PASSWORD, make_service


def test_safe_by_default(tmp_path: Path) -> None:
    settings = ServeSettings(base="base", state=tmp_path)
    assert settings.host == "127.0.0.1"
    assert settings.cors_origins == ()
    assert settings.trusted_proxies == ()
    assert authentication(settings) == ()
    assert not settings.keep_query_images
    check_binding(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.4.2", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_authentication(tmp_path: Path, host: str) -> None:
    assert is_loopback(host)
    check_binding(ServeSettings(base="base", state=tmp_path, host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.7"])  # noqa: S104
def test_other_addresses_need_authentication(tmp_path: Path, host: str) -> None:
    settings = ServeSettings(base="base", state=tmp_path, host=host)
    with pytest.raises(ValueError, match=r"can be reached from other machines.*dermquery keys create"):
        check_binding(settings)
    with pytest.raises(ValueError, match="nobody would have to sign in"):
        make_service(tmp_path, host=host)
    KeyFile(settings.keys_file).create("viewer", "read")
    assert authentication(settings) == ("keys",)
    check_binding(settings)


def test_a_name_that_leads_elsewhere_needs_authentication(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is what it resolves to, and all of its addresses count."""

    def resolve(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        found = {"both.example": ["127.0.0.1", "192.0.2.7"], "here.example": ["127.0.0.1", "::1"]}
        if host not in found:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in found[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert is_loopback("here.example")
    with pytest.raises(ValueError, match=r"both\.example can be reached"):
        check_binding(ServeSettings(base="base", state=tmp_path, host="both.example"))
    with pytest.raises(ValueError, match="resolves to no address"):
        check_binding(ServeSettings(base="base", state=tmp_path, host="nowhere.example"))


@pytest.mark.parametrize("announced", [{"trusted_proxies": ["127.0.0.1"]}, {"hosts": ["cases.example.org"]}])
def test_behind_a_proxy_loopback_is_not_this_machine_only(tmp_path: Path, announced: dict[str, list[str]]) -> None:
    settings = ServeSettings.model_validate({"base": "base", "state": tmp_path, **announced})
    with pytest.raises(ValueError, match="a proxy is announced"):
        check_binding(settings)
    UserFile(settings.users_file).add("ann", "read", PASSWORD)
    assert authentication(settings) == ("users",)
    check_binding(settings)


def test_a_key_that_expired_is_still_authentication(tmp_path: Path) -> None:
    """Otherwise the door would open by itself when the last key expires."""
    settings = ServeSettings(base="base", state=tmp_path)
    KeyFile(settings.keys_file).create("viewer", "read", days=-1)
    assert authentication(settings) == ("keys",)


def test_flags_go_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(
        f"""
[serve]
base = "base"
state = "{tmp_path}"
port = 9000
hosts = ["Cases.Example.ORG"]
trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]

[serve.oidc]
issuer = "https://login.example"
audience = "dermquery"
jwks = "jwks.json"
"""
    )
    settings = load_settings(file, port=9001, host=None)
    assert (settings.base, settings.port, settings.host) == ("base", 9001, "127.0.0.1")
    assert settings.hosts == ("cases.example.org",)
    assert settings.trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8")
    assert settings.oidc is not None
    assert settings.oidc.algorithms == ("RS256", "ES256", "EdDSA")
    assert authentication(settings) == ("oidc",)


def test_every_problem_of_a_file_is_listed(tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    file.write_text('[serve]\nbase = "b"\nprot = 1\nport = 70000\ntrusted_proxies = ["proxy"]\ncors_origins = ["*"]\n')
    with pytest.raises(ValueError, match="cannot be used") as error:
        load_settings(file)
    for words in ("serve.prot: unknown key", "serve.port", "'proxy' is no address or network", "'*' is no origin"):
        assert words in str(error.value)
    with pytest.raises(ValueError, match=r"serve\.base: is missing"):
        load_settings(None)
    with pytest.raises(FileNotFoundError, match="no configuration"):
        load_settings(tmp_path / "none.toml")
    file.write_text("[serve")
    with pytest.raises(ValueError, match="is not TOML"):
        load_settings(file)


@pytest.mark.parametrize("origin", ["*", "null", "https://a.example/", "https://a.example/x", "file:///x", "a.example"])
def test_origins_are_named_one_by_one(tmp_path: Path, origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        ServeSettings(base="b", state=tmp_path, cors_origins=(origin,))


@pytest.mark.parametrize("host", ["*", "https://a.example", "a.example/x", "", "*.example"])
def test_hosts_are_named_one_by_one(tmp_path: Path, host: str) -> None:
    with pytest.raises(ValueError, match="is no host name"):
        ServeSettings(base="b", state=tmp_path, hosts=(host,))


def test_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DERMQUERY_STATE", str(tmp_path / "a"))
    assert default_state() == tmp_path / "a"
    monkeypatch.delenv("DERMQUERY_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "b"))
    assert default_state() == tmp_path / "b" / "dermquery"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_state() == tmp_path / ".local" / "state" / "dermquery"


@pytest.mark.parametrize("command", [["serve"], ["keys", "list"], ["users", "list"]])
def test_a_home_that_cannot_be_written_is_named_with_the_remedy(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("DERMQUERY_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    done = CliRunner().invoke(app, [*command, *(["--base", str(tmp_path / "base")] if command == ["serve"] else [])])
    assert done.exit_code == 2
    assert "cannot be written (Not a directory); name another by --state" in done.stderr
