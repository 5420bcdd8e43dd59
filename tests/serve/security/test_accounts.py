"""Keys and people: what is kept of them, and what happens when they change."""

from __future__ import annotations

import hashlib
import json
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from hypothesis import given
from hypothesis import strategies as st

from dermquery.serve.security import users as accounts
from dermquery.serve.security.api_keys import KeyFile
from dermquery.serve.security.identity import Principal, Scope, wider
from dermquery.serve.security.sessions import Sessions
from dermquery.serve.security.users import User, UserFile
from tests.serve.security.app import PASSWORD


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


@pytest.fixture
def users(tmp_path: Path) -> UserFile:
    file = UserFile(tmp_path / "users.json")
    file.add("ann", "write", PASSWORD)
    return file


def test_scopes_include_each_other() -> None:
    assert wider(("admin",)) == {"read", "write", "admin"}
    assert wider(("write",)) == {"read", "write"}
    assert wider(("read",)) == {"read"}
    assert wider(()) == frozenset()


def test_a_key_is_kept_as_a_hash_for_its_owner_only(keys: KeyFile, tmp_path: Path) -> None:
    key = keys.create("viewer", "read")
    kept = (tmp_path / "keys.json").read_text()
    prefix, key_id, secret = key.split("_", 2)
    assert prefix == "dq"
    assert secret not in kept
    assert json.loads(kept)[key_id]["sha256"] == hashlib.sha256(secret.encode()).hexdigest()
    assert len(secret) == 43  # 32 bytes
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert keys.principal(key) == Principal("viewer", frozenset({"read"}), "key")


@pytest.fixture(scope="module")
def known_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[KeyFile, str]:
    file = KeyFile(tmp_path_factory.mktemp("keys") / "keys.json")
    return file, file.create("viewer", "admin")


@given(data=st.data())
def test_no_other_key_is_taken(known_key: tuple[KeyFile, str], data: st.DataObject) -> None:
    file, key = known_key
    at = data.draw(st.integers(0, len(key) - 1))
    other = key[:at] + data.draw(st.characters()) + key[at + data.draw(st.integers(0, 2)) :]
    assert (file.principal(other) is None) == (other != key)


@pytest.mark.parametrize("text", ["", "dq_", "dq__", "dq_000000000000_" + "a" * 43, "dq_" + "0" * 5000, "é" * 60])
def test_what_is_no_key_is_nobody(keys: KeyFile, text: str) -> None:
    keys.create("viewer", "read")
    assert keys.principal(text) is None


def test_rotation_lets_the_old_key_live_for_a_while(keys: KeyFile) -> None:
    old = keys.create("viewer", "write", days=90)
    new = keys.rotate("viewer", timedelta(hours=2))
    assert keys.principal(old) == keys.principal(new) == Principal("viewer", wider(("write",)), "key")
    left = {key_id: key.expires for key_id, key in keys.list().items()}
    until_old, until_new = left[old.split("_")[1]], left[new.split("_")[1]]
    assert until_old is not None
    assert until_new is not None
    assert timedelta(hours=1.9) < until_old - datetime.now(UTC) < timedelta(hours=2)
    assert timedelta(days=89.9) < until_new - datetime.now(UTC) < timedelta(days=90)
    third = keys.rotate("viewer", timedelta(0))
    assert keys.principal(new) is None
    assert keys.principal(third) is not None
    assert keys.principal(old) is not None


def test_a_grace_does_not_lengthen_a_life(keys: KeyFile) -> None:
    old = keys.create("viewer", "read", days=0.5)
    keys.rotate("viewer", timedelta(days=30))
    expires = keys.list()[old.split("_")[1]].expires
    assert expires is not None
    assert expires < datetime.now(UTC) + timedelta(days=0.5)


def test_expired_and_revoked_keys_are_nobody(keys: KeyFile) -> None:
    expired = keys.create("short", "read", days=-1)
    assert keys.principal(expired) is None
    with pytest.raises(ValueError, match="no valid key 'short'"):
        keys.rotate("short")
    again = keys.create("short", "read")
    assert keys.principal(again) is not None
    assert len(keys.revoke("short")) == 2
    assert keys.principal(again) is None
    with pytest.raises(ValueError, match="there is no key 'short'"):
        keys.revoke("short")


def test_names_of_keys(keys: KeyFile) -> None:
    keys.create("viewer", "read")
    with pytest.raises(ValueError, match="there is a key 'viewer'"):
        keys.create("viewer", "read")
    with pytest.raises(ValueError, match="is no name for a key"):
        keys.create("a\nb", "read")


def test_another_process_changes_count_at_once(keys: KeyFile, tmp_path: Path) -> None:
    """A service and the command line have the file open at the same time."""
    service = KeyFile(tmp_path / "keys.json")
    assert service.list() == {}
    key = keys.create("viewer", "read")
    assert service.principal(key) is not None
    keys.revoke("viewer")
    assert service.principal(key) is None
    (tmp_path / "keys.json").unlink()
    assert service.list() == {}


def test_changes_at_the_same_time_do_not_overwrite_each_other(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=KeyFile(tmp_path / "keys.json").create, args=(f"key {i}", "read")) for i in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(KeyFile(tmp_path / "keys.json").list()) == 12


def test_a_file_that_cannot_be_read_lets_nobody_in_and_shows_nothing(keys: KeyFile, tmp_path: Path) -> None:
    key = keys.create("viewer", "read")
    assert keys.principal(key) is not None
    broken = json.loads((tmp_path / "keys.json").read_text())
    next(iter(broken.values()))["scope"] = "everything"
    (tmp_path / "keys.json").write_text(json.dumps(broken))
    with pytest.raises(ValueError, match="cannot be used") as error:
        keys.principal(key)
    assert next(iter(broken.values()))["sha256"] not in str(error.value)


def test_passwords_are_argon2id(
    own_hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch, users: UserFile, tmp_path: Path
) -> None:
    monkeypatch.setattr(accounts, "_HASHER", own_hasher)
    users.set_password("ann", PASSWORD)
    kept = json.loads((tmp_path / "users.json").read_text())["ann"]["password"]
    parameters = extract_parameters(kept)
    assert parameters.type is Type.ID
    assert (parameters.memory_cost, parameters.time_cost) >= (65536, 3)
    assert PasswordHasher().verify(kept, PASSWORD)
    assert stat.S_IMODE((tmp_path / "users.json").stat().st_mode) == 0o600


def test_who_may_sign_in(users: UserFile) -> None:
    assert users.check("ann", PASSWORD) is not None
    assert users.check("ann", PASSWORD + "!") is None
    assert users.check("ann", "") is None
    assert users.check("nobody", PASSWORD) is None
    users.set_password("ann", "another long password")
    assert users.check("ann", PASSWORD) is None
    assert users.check("ann", "another long password") is not None
    users.remove("ann")
    assert users.check("ann", "another long password") is None


def test_an_unknown_name_costs_a_hash_too(users: UserFile, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    real = PasswordHasher.verify

    def noting(hasher: PasswordHasher, hashed: str, password: str) -> bool:
        verified.append(hashed)
        return real(hasher, hashed, password)

    monkeypatch.setattr(PasswordHasher, "verify", noting)
    users.check("nobody", "whatever it is")
    users.check("ann", "whatever it is")
    unknown, known = (extract_parameters(hashed) for hashed in verified)
    assert unknown == known


@pytest.mark.parametrize(
    ("name", "password", "message"),
    [
        ("bob", "short", "too short; use 12"),
        ("bob", "x" * 2000, "too long"),
        ("../bob", PASSWORD, "is no name to sign in with"),
        ("ann", PASSWORD, "there already"),
    ],
)
def test_people_that_cannot_be_added(users: UserFile, name: str, password: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        users.add(name, "read", password)
    assert set(users.list()) == {"ann"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(users: UserFile, clock: Clock) -> Sessions:
    return Sessions(users, idle_seconds=600, absolute_seconds=3600, clock=clock)


@pytest.fixture
def ann(users: UserFile) -> User:
    return users.list()["ann"]


def test_a_session_that_is_not_used_ends(sessions: Sessions, clock: Clock, ann: User) -> None:
    session_id = sessions.begin("ann", ann)
    for _ in range(3):
        clock.now += 599
        assert sessions.find(session_id) is not None
    clock.now += 500
    assert sessions.find(session_id, touch=False) is not None
    clock.now += 101
    assert sessions.find(session_id) is None


def test_a_session_ends_in_any_case(sessions: Sessions, clock: Clock, ann: User) -> None:
    session_id = sessions.begin("ann", ann)
    for _ in range(7):
        clock.now += 500
        assert sessions.find(session_id) is not None
    clock.now += 101
    assert sessions.find(session_id) is None


def test_sessions_follow_the_file(sessions: Sessions, users: UserFile, ann: User) -> None:
    first = sessions.begin("ann", ann)
    users.set_password("ann", "another long password")
    assert sessions.find(first) is None
    second = sessions.begin("ann", users.list()["ann"])
    assert sessions.find(second) is not None
    users.remove("ann")
    assert sessions.find(second) is None


@pytest.mark.parametrize("change", ["new password", "removed"])
def test_a_password_that_changes_while_it_is_checked_opens_nothing(
    sessions: Sessions, users: UserFile, change: str
) -> None:
    checked = users.check("ann", PASSWORD)
    assert checked is not None
    if change == "removed":
        users.remove("ann")
    else:
        users.set_password("ann", "another long password")
    assert sessions.find(sessions.begin("ann", checked)) is None


def test_session_ids_are_random_and_not_kept(sessions: Sessions, ann: User) -> None:
    ids = {sessions.begin("ann", ann) for _ in range(10)}
    assert len(ids) == 10
    assert all(len(session_id) == 43 for session_id in ids)
    assert not any(session_id in repr(vars(sessions)) for session_id in ids)
    tokens = {found.csrf for session_id in ids if (found := sessions.find(session_id))}
    assert len(tokens) == 10


def test_only_the_newest_sessions_of_one_person_are_kept(sessions: Sessions, ann: User) -> None:
    ids = [sessions.begin("ann", ann) for _ in range(25)]
    assert [sessions.find(session_id) is not None for session_id in ids] == [False] * 5 + [True] * 20


def test_signing_out_ends_one_session(sessions: Sessions, ann: User) -> None:
    first, second = sessions.begin("ann", ann), sessions.begin("ann", ann)
    sessions.end(first)
    sessions.end("no session")
    assert sessions.find(first) is None
    assert sessions.find(second) is not None


@pytest.mark.parametrize(("scope", "may"), [("read", "read"), ("write", "read write"), ("admin", "read write admin")])
def test_what_a_principal_may(scope: Scope, may: str) -> None:
    principal = Principal("x", wider((scope,)), "key")
    assert [other for other in ("read", "write", "admin") if principal.may(other)] == may.split()
