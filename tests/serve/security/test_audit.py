"""The audit log: its chain, its rotation, and what it survives."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import stat
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermquery.serve.audit_chain import files_of, read_lines
from dermquery.serve.audit_log import AuditError, AuditLog, Verified, verify
from dermquery.serve.security.identity import Principal, wider

ANN = Principal("ann", wider(("write",)), "session")


def write(folder: Path, n: int, max_bytes: int = 600) -> AuditLog:
    log = AuditLog(folder, max_bytes)
    for i in range(n):
        log.write("view", ANN, case_id=f"case-{i}")
    return log


def test_lines_say_who_what_when_and_chain_across_files(tmp_path: Path) -> None:
    write(tmp_path, 20).close()
    lines = list(read_lines(tmp_path))
    assert [line["line"] for line in lines] == list(range(1, 21))
    assert {(line["event"], line["principal"], line["method"]) for line in lines} == {("view", "ann", "session")}
    assert lines[7]["case_id"] == "case-7"
    assert lines[0]["time"].endswith("+00:00")
    assert len(files_of(tmp_path)) > 3
    found = verify(tmp_path)
    assert isinstance(found, Verified)
    assert (found.first, found.last, found.files) == (1, 20, len(files_of(tmp_path)))


def test_is_for_its_owner_only(tmp_path: Path) -> None:
    write(tmp_path / "state" / "audit", 3).close()
    assert stat.S_IMODE((tmp_path / "state" / "audit").stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state" / "audit").iterdir()}
    assert modes == {0o600}


def test_goes_on_where_it_ended(tmp_path: Path) -> None:
    write(tmp_path, 5).close()
    before = verify(tmp_path)
    assert isinstance(before, Verified)
    write(tmp_path, 5).close()
    found = verify(tmp_path, {before.last: before.sha256})
    assert isinstance(found, Verified)
    assert found.last == 10


def test_a_second_process_is_told(tmp_path: Path) -> None:
    log = write(tmp_path, 1)
    with pytest.raises(AuditError, match="another process writes the audit log"):
        AuditLog(tmp_path)
    log.close()
    AuditLog(tmp_path).close()


def test_facts_cannot_pass_for_the_logs_own_fields(tmp_path: Path) -> None:
    log = write(tmp_path, 1)
    with pytest.raises(ValueError, match="'previous'"):
        log.write("view", ANN, previous="0" * 64)
    with pytest.raises(ValueError, match="not JSON compliant"):
        log.write("view", ANN, score=float("nan"))
    log.write("search", ANN, text='broken\n{"line": 3}\u2028 network', long="x" * 5000)
    log.close()
    lines = list(read_lines(tmp_path))
    assert [line["line"] for line in lines] == [1, 2]
    assert lines[1]["text"] == 'broken\n{"line": 3}\u2028 network'
    assert lines[1]["long"] == "x" * 4096 + "… (5000 characters)"
    assert isinstance(verify(tmp_path), Verified)


def test_threads_share_flushes_and_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    real = os.fsync

    def counting(file: int) -> None:
        flushed.append(file)
        real(file)

    log = AuditLog(tmp_path, 20_000)
    monkeypatch.setattr(os, "fsync", counting)

    def write_some(name: str) -> None:
        for _ in range(25):
            log.write("view", None, thread=name)

    threads = [threading.Thread(target=write_some, args=(str(i),)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    found = verify(tmp_path)
    assert isinstance(found, Verified)
    assert found.last == 400
    assert len(flushed) < 400 + 2 * found.files
    assert sorted(line["thread"] for line in read_lines(tmp_path)) == sorted(str(i % 16) for i in range(400))


def test_every_acknowledged_line_was_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut leaves, at worst: the bytes that had been flushed when ``write`` returned."""
    log = AuditLog(tmp_path, 500)
    safe: dict[int, int] = {}
    real = os.fsync

    def noting(file: int) -> None:
        real(file)
        entry = os.fstat(file)
        safe[entry.st_ino] = entry.st_size

    monkeypatch.setattr(os, "fsync", noting)
    for i in range(12):
        log.write("view", ANN, case_id=str(i))
        assert all(safe[path.stat().st_ino] == path.stat().st_size for path in files_of(tmp_path))
    log.close()


@pytest.mark.parametrize("fails", ["write", "fsync"])
def test_what_cannot_be_logged_is_an_error_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    log = write(tmp_path, 3)

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, fails, full)
        with pytest.raises(AuditError, match="No space left"):
            log.write("view", ANN, case_id="lost")
    remedy = "mend that and start again" if fails == "fsync" else "it goes on within seconds"
    with pytest.raises(AuditError, match=remedy):
        log.write("view", ANN, case_id="later")
    if fails == "fsync":  # what the kernel dropped then nobody can know
        time.sleep(0.2)
        with pytest.raises(AuditError, match="start again"):
            log.write("view", ANN, case_id="later")
    log.close()
    again = AuditLog(tmp_path)
    again.write("view", ANN, case_id="after")
    again.close()
    assert isinstance(verify(tmp_path), Verified)
    kept = [line["case_id"] for line in read_lines(tmp_path) if line["event"] == "view"]
    assert kept[:3] == ["case-0", "case-1", "case-2"]


@pytest.mark.parametrize("half", [0, 40, 10_000])
def test_it_goes_on_when_there_is_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: int) -> None:
    log, real = write(tmp_path, 3), os.write

    def full(file: int, data: Any) -> int:
        if half:
            real(file, data[:half])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for _ in range(3):
            with pytest.raises(AuditError, match="No space left"):
                log.write("view", ANN, case_id="lost")
            with pytest.raises(AuditError, match="No space left"):
                log.check()
    for _ in range(100):
        try:
            log.write("view", ANN, case_id="after")
            break
        except AuditError:
            time.sleep(0.1)
    log.write("view", ANN, case_id="last")
    log.close()
    found = verify(tmp_path)
    assert isinstance(found, Verified)
    kept = [line.get("case_id", line["event"]) for line in read_lines(tmp_path)]
    there = ["case-0", "case-1", "case-2", "audit-repaired", "after", "last"]
    assert [name for name in kept if name != "lost"] == there


def test_half_a_line_on_a_full_disk_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, real = write(tmp_path, 2), os.write

    def half(file: int, data: Any) -> int:
        if len(data) < 50:
            raise OSError(28, "No space left on device")
        return real(file, data[:40])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(AuditError):
            log.write("view", ANN, case_id="x")
    log.close()
    assert verify(tmp_path) == verify(tmp_path)
    found = verify(tmp_path)
    assert isinstance(found, Verified)
    assert (found.last, found.unfinished) == (2, 0)


@settings(max_examples=30)
@given(n=st.integers(0, 12), cut=st.integers(1, 150))
def test_a_line_that_was_cut_off_is_removed_and_nothing_else(n: int, cut: int) -> None:
    """A crash within a write leaves a part of a line, which nobody was told of: it goes, all others stay."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, n, 900).close()
        acknowledged = list(read_lines(folder))
        last = files_of(folder)[-1]
        line = json.dumps({"line": n + 1, "event": "view", "case_id": "x" * 200}).encode()
        with last.open("ab") as stream:
            stream.write(line[:cut])
        found = verify(folder)
        assert isinstance(found, Verified)
        assert (found.last, found.unfinished) == (n, cut)
        AuditLog(folder).close()
        lines = list(read_lines(folder))
        assert lines[:n] == acknowledged
        assert (lines[n]["event"], lines[n]["removed_bytes"]) == ("audit-repaired", cut)
        assert isinstance(verify(folder), Verified)


def test_a_damaged_log_is_not_written_to(tmp_path: Path) -> None:
    write(tmp_path, 4, 100_000).close()
    (file,) = files_of(tmp_path)
    file.write_bytes(file.read_bytes().replace(b"case-1", b"case-9"))
    with pytest.raises(AuditError, match=r"audit-000000000001\.jsonl, row 3: line 2 was changed"):
        AuditLog(tmp_path)


def test_lines_that_are_missing_at_the_end_are_noticed_at_the_start(tmp_path: Path) -> None:
    write(tmp_path, 4, 100_000).close()
    (file,) = files_of(tmp_path)
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(AuditError, match="ends after line 3, but line 4 was written"):
        AuditLog(tmp_path)


def test_a_crash_between_two_files_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path, 4, 100_000).close()
    (tmp_path / "audit-000000000005.jsonl").touch()
    log = AuditLog(tmp_path)
    log.write("view", ANN)
    log.close()
    found = verify(tmp_path)
    assert isinstance(found, Verified)
    assert (found.last, found.files) == (5, 2)


def test_a_head_that_a_power_cut_emptied_is_no_tampering(tmp_path: Path) -> None:
    write(tmp_path, 4).close()
    (tmp_path / "head.json").write_bytes(b"")
    assert isinstance(verify(tmp_path), Verified)
    AuditLog(tmp_path).close()


def _write_until_killed(folder: Path, acknowledged: Any) -> None:
    log = AuditLog(folder, 2_000)
    for i in range(100_000):
        log.write("view", ANN, case_id=str(i))
        acknowledged.value = i + 1


def test_kill_9_loses_no_acknowledged_line(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for round_ in range(3):
        acknowledged = context.Value("i", 0)
        before = verify(tmp_path)
        assert isinstance(before, Verified)
        process = context.Process(target=_write_until_killed, args=(tmp_path, acknowledged))
        process.start()
        while acknowledged.value < 20 * (round_ + 1) and process.is_alive():
            pass
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        found = verify(tmp_path)
        assert isinstance(found, Verified)
        assert found.last >= before.last + acknowledged.value
