"""Keys, users and the audit log from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.serve.security.api_keys import KeyFile
from dermquery.serve.security.users import UserFile
from tests.serve.security.app import PASSWORD, make_service
from tests.serve.security.browser import submit


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DERMQUERY_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "state"


def run(*arguments: str, text: str | None = None, code: int = 0) -> Any:
    result = CliRunner().invoke(app, list(arguments), input=text)
    assert result.exit_code == code, result.output
    return result


def test_a_key_is_printed_once(state: Path) -> None:
    made = run("keys", "create", "viewer bot", "--scope", "read", "--days", "90")
    key = made.stdout.strip()
    assert re.fullmatch(r"dq_[0-9a-f]{12}_[\w-]{43}", key), "alone on standard output, so that it can be piped"
    assert "not shown again" in made.stderr
    found = KeyFile(state / "keys.json").principal(key)
    assert found is not None
    assert (found.name, sorted(found.scopes)) == ("viewer bot", ["read"])
    listed = run("keys", "list").output + run("keys", "list", "--json").output
    assert "viewer bot" in listed
    assert key.split("_")[1] in listed
    assert key.split("_", 2)[2] not in listed
    assert "sha256" not in listed


def test_rotation_and_revocation(state: Path) -> None:
    file = KeyFile(state / "keys.json")
    old = run("keys", "create", "viewer").stdout.strip()
    new = run("keys", "rotate", "viewer", "--grace-hours", "0").stdout.strip()
    assert (file.principal(old), file.principal(new) is None) == (None, False)
    assert "expired" in run("keys", "list").output
    run("keys", "revoke", old.split("_")[1])
    run("keys", "revoke", "viewer")
    assert run("keys", "list").output.strip() == "There are no keys."
    assert "there is no key 'viewer'" in run("keys", "revoke", "viewer", code=2).stderr


def test_people(state: Path) -> None:
    file = UserFile(state / "users.json")
    run("users", "add", "ann", "--scope", "write", text=f"{PASSWORD}\n")
    assert file.check("ann", PASSWORD) is not None
    assert "ann" in run("users", "list").output
    assert list(json.loads(run("users", "list", "--json").output)["ann"]) == ["scope", "changed"]
    assert "too short" in run("users", "passwd", "ann", text="short\n", code=2).stderr
    run("users", "passwd", "ann", text="another long password\n")
    assert file.check("ann", PASSWORD) is None
    run("users", "remove", "ann")
    assert "nobody called 'ann'" in run("users", "remove", "ann", code=2).stderr
    assert run("users", "list").output.strip() == "There is nobody."


def test_a_password_is_no_argument() -> None:
    for command in ("add", "passwd"):
        shown = run("users", command, "--help").output
        assert "--password" not in shown
        run("users", command, "ann", PASSWORD, code=2)


def test_the_state_folder_of_a_configuration(tmp_path: Path, state: Path) -> None:
    (tmp_path / "serve.toml").write_text(f'[serve]\nbase = "b"\nstate = "{tmp_path / "other"}"\n')
    run("keys", "create", "viewer", "--config", str(tmp_path / "serve.toml"))
    assert (tmp_path / "other" / "keys.json").exists()
    assert not state.exists()


@pytest.fixture
def used(tmp_path: Path) -> Path:
    service = make_service(tmp_path / "used", user="ann")
    submit(service.client(), password="wrong password")  # noqa: S106
    submit(service.client())
    service.audit.write("search", None, text="blue\nveil \x1b[31m", hits=["case-7"])
    service.audit.close()
    return tmp_path / "used"


def test_audit_verify(used: Path) -> None:
    good = run("audit", "verify", str(used))
    assert "lines 1 to 4 in 1 file(s), the chain holds" in good.output
    (anchor,) = re.findall(r"\d+:[0-9a-f]{64}", good.output)
    run("audit", "verify", str(used / "audit"), "--anchor", anchor)
    assert json.loads(run("audit", "verify", str(used), "--json").output)["good"] is True
    wrong = run("audit", "verify", str(used), "--anchor", f"3:{'0' * 64}", code=1)
    assert "row 3: line 3 had another hash before" in wrong.stderr
    (file,) = (used / "audit").glob("audit-*.jsonl")
    file.write_bytes(file.read_bytes().replace(b"sign-in-failed", b"sign-in-denied"))
    assert (
        "audit-000000000001.jsonl, row 3: line 2 was changed, or this one"
        in run("audit", "verify", str(used), code=1).stderr
    )
    bad = json.loads(run("audit", "verify", str(used), "--json", code=1).output)
    assert (bad["good"], bad["row"]) == (False, 3)


def test_audit_show(used: Path) -> None:
    lines = run("audit", "show", str(used)).output.splitlines()
    assert [line.split()[2] for line in lines] == ["start", "sign-in-failed", "sign-in", "search"]
    assert r"blue\nveil \u001b[31m" in lines[-1], "what a user wrote cannot steer the terminal"
    assert len(run("audit", "show", str(used), "--principal", "ann").output.splitlines()) == 1
    assert len(run("audit", "show", str(used), "--event", "start", "--event", "search").output.splitlines()) == 2
    assert len(run("audit", "show", str(used), "--case", "case-7").output.splitlines()) == 1
    assert json.loads(run("audit", "show", str(used), "--last", "1", "--json").output)["event"] == "search"
    assert run("audit", "show", str(used), "--since", "2999-01-01").output == ""


def test_errors_say_what_to_do(tmp_path: Path, used: Path) -> None:
    assert "no audit log in" in run("audit", "verify", str(tmp_path / "none"), code=2).stderr
    assert "is not LINE:SHA256" in run("audit", "verify", str(used), "--anchor", "7", code=2).stderr
