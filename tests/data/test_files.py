"""What is said to be safe is on the disk: every name is given to a flushed content, and flushed itself."""

from __future__ import annotations

import ast
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dermquery
from dermquery.data import files
from dermquery.data.files import make_folder, move, remove_tree, replacing, replacing_all, sync, sync_tree

PACKAGE = Path(dermquery.__file__).parent
RENAMING = {"rename", "renames", "replace", "move", "link", "symlink", "hardlink_to", "symlink_to"}


class Flushes:
    """What os.fsync and the renames of os were called with, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, str]] = []
        self._noting = threading.Lock()
        monkeypatch.setattr(
            os, "fsync", self._noted("fsync", os.fsync, lambda fd: str(Path(f"/proc/self/fd/{fd}").readlink()))
        )
        monkeypatch.setattr(os, "replace", self._noted("replace", os.replace, lambda _, target: str(target)))
        monkeypatch.setattr(os, "rename", self._noted("rename", os.rename, lambda _, target: str(target)))

    def _noted(self, name: str, call: Callable[..., Any], of: Callable[..., str]) -> Callable[..., Any]:
        def noting(*arguments: Any, **options: Any) -> Any:
            with self._noting:
                self.calls.append((name, of(*arguments)))
            return call(*arguments, **options)

        return noting


@pytest.fixture
def flushes(monkeypatch: pytest.MonkeyPatch) -> Flushes:
    return Flushes(monkeypatch)


def test_a_file_is_flushed_before_it_has_its_name_and_its_folder_after(flushes: Flushes, tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "state.json"
    with replacing(target) as part:
        part.write_text("x")
    assert target.read_text() == "x"
    made = {("fsync", str(tmp_path)), ("fsync", str(tmp_path / "a"))}
    assert set(flushes.calls[:2]) == made, "the folders that were made are on the disk too"
    assert flushes.calls[2:] == [
        ("fsync", str(part)),
        ("replace", str(target)),
        ("fsync", str(target.parent)),
    ]


def test_many_files_are_flushed_together(flushes: Flushes, tmp_path: Path) -> None:
    pairs = [(tmp_path / f".{i}", tmp_path / f"{i}") for i in range(40)]
    for part, _ in pairs:
        part.write_text("x")
    replacing_all(pairs)
    names = [name for name, _ in flushes.calls]
    assert names == ["fsync"] * 40 + ["replace"] * 40 + ["fsync"]
    replacing_all([])
    sync([])


def test_a_failed_block_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(RuntimeError, match="no"), replacing(tmp_path / "x") as part:
        part.write_text("new")
        raise RuntimeError("no")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "old")]


def test_a_flush_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: int) -> None:
        raise OSError(5, "Input/output error")

    (tmp_path / "x").write_text("old")
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output"), replacing(tmp_path / "x") as part:
        part.write_text("new")
    assert (tmp_path / "x").read_text() == "old"


def test_folders_move_and_go_as_a_whole(flushes: Flushes, tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "x").write_text("x")
    make_folder(tmp_path / "deep" / "er")
    flushes.calls.clear()
    sync_tree(tmp_path / "part")
    assert {path for _, path in flushes.calls} == {str(tmp_path / "part"), str(tmp_path / "part" / "x")}
    move(tmp_path / "part", tmp_path / "deep" / "whole")
    assert {path for _, path in flushes.calls[3:]} == {str(tmp_path), str(tmp_path / "deep")}
    remove_tree(tmp_path / "deep")
    remove_tree(tmp_path / "deep")
    assert list(tmp_path.iterdir()) == []


def test_nothing_else_in_the_package_renames() -> None:
    """A rename without its flushes is how acknowledged data is lost, so there is one place for it."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        if path == Path(files.__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            module = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            # str.replace takes two; Path.replace and Path.rename one; dataclasses.replace has other keywords
            of_path = node.func.attr in RENAMING - {"move"} and len(node.args) == 1 and not node.keywords
            if of_path or (module in {"os", "shutil"} and node.func.attr in RENAMING):
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert [place for place in found if not place.startswith("store/lance/hit_rows.py")] == []
    # There a file gets a second name in a folder that is flushed whole before it is used.
    assert len(found) == 1
