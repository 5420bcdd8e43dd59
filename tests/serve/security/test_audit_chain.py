"""Tampering with the audit log, and how it is found."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.serve.audit_chain import files_of
from dermquery.serve.audit_log import BadLine, Verified, verify
from tests.serve.security.test_audit import write


def _change(data: bytes, draw: Callable[[Any], Any]) -> bytes:
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]


def _delete(data: bytes, draw: Callable[[Any], Any]) -> bytes:
    lines = data.splitlines(keepends=True)
    del lines[draw(st.integers(0, len(lines) - 1))]
    return b"".join(lines)


def _swap(data: bytes, draw: Callable[[Any], Any]) -> bytes:
    lines = data.splitlines(keepends=True)
    first, second = draw(st.lists(st.integers(0, len(lines) - 1), min_size=2, max_size=2, unique=True))
    lines[first], lines[second] = lines[second], lines[first]
    return b"".join(lines)


def _double(data: bytes, draw: Callable[[Any], Any]) -> bytes:
    lines = data.splitlines(keepends=True)
    at = draw(st.integers(0, len(lines) - 1))
    return b"".join([*lines[: at + 1], *lines[at:]])


def _truncate(data: bytes, draw: Callable[[Any], Any]) -> bytes:
    return data[: draw(st.integers(0, len(data) - 1))]


def _forge(data: bytes, draw: Callable[[Any], Any]) -> bytes:
    """Another name in a line, its own chain untouched."""
    lines = data.splitlines(keepends=True)
    at = draw(st.integers(0, len(lines) - 1))
    lines[at] = lines[at].replace(b'"ann"', b'"bob"')
    return b"".join(lines)


TAMPERING = {
    "change": _change,
    "delete": _delete,
    "swap": _swap,
    "double": _double,
    "truncate": _truncate,
    "forge": _forge,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("audit")
    write(folder, 12, 700).close()
    assert len(files_of(folder)) >= 3
    return {path.name: path.read_bytes() for path in [*files_of(folder), folder / "head.json"]}


@pytest.mark.parametrize("how", TAMPERING)
@given(data=st.data())
def test_tampering_is_found(how: str, written: dict[str, bytes], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in written.items():
            (folder / file).write_bytes(content)
        file = data.draw(st.sampled_from(sorted(set(written) - {"head.json"})))
        changed = TAMPERING[how](written[file], data.draw)
        (folder / file).write_bytes(changed)
        found = verify(folder)
        assert isinstance(found, BadLine), f"{how} in {file} was not noticed"
        # Nothing before the place that was touched is blamed.
        assert (found.file, found.row) >= (file, _first_difference(written[file], changed))


def _first_difference(before: bytes, now: bytes) -> int:
    pairs = zip_longest(before.splitlines(keepends=True), now.splitlines(keepends=True))
    return next(row for row, (a, b) in enumerate(pairs, 1) if a != b)


@given(data=st.data())
def test_a_file_that_is_gone_is_found(written: dict[str, bytes], data: st.DataObject) -> None:
    files = sorted(set(written) - {"head.json"})
    gone = data.draw(st.sampled_from(files))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in written.items():
            if file != gone:
                (folder / file).write_bytes(content)
        found = verify(folder)
        if gone == files[0]:  # may have been moved away on purpose, and is said
            assert isinstance(found, Verified)
            assert found.first > 1
        else:
            assert isinstance(found, BadLine)


def test_a_log_that_was_written_anew_is_found_by_its_anchor(tmp_path: Path) -> None:
    write(tmp_path / "a", 9).close()
    found = verify(tmp_path / "a")
    assert isinstance(found, Verified)
    write(tmp_path / "b", 9).close()
    assert isinstance(verify(tmp_path / "b"), Verified)
    bad = verify(tmp_path / "b", {found.last: found.sha256})
    assert isinstance(bad, BadLine)
    assert "line 9 had another hash before" in bad.reason
    longer = verify(tmp_path / "a", {12: "0" * 64})
    assert isinstance(longer, BadLine)
    assert "ends after line 9, but line 12 was written" in longer.reason
