"""What documentation shows of the Python interface runs, and is typed as strictly as its users may ask."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dermquery
from dermquery.store.casebase import CaseBase
from tests.store.conftest import make_cases

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
APART_FROM = "dermquery.lab"
"""The laboratory's doctests are in its own tests."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of drawn lesions, and one of them as an image to ask with."""
    made = tmp_path_factory.mktemp("documented")
    cases = make_cases(made / "cases", 24)
    CaseBase.create(made / "base", "demo").add(cases)
    shutil.copyfile(cases[3].image, made / "case.png")
    return made


def test_the_page_on_python_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    result = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert (result.failed, result.attempted > 20) == (0, True)


def test_examples_in_docstrings_run() -> None:
    root = Path(dermquery.__file__).parent
    shown = [path for path in sorted(root.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
    names = [".".join(("dermquery", *path.relative_to(root).with_suffix("").parts)) for path in shown]
    own = [name for name in names if not name.startswith(APART_FROM)]
    assert {"dermquery.data.case", "dermquery.data.meant"} <= set(own)
    for name in own:
        result = doctest.testmod(importlib.import_module(name))
        assert (result.failed, result.attempted > 0) == (0, True), name


CHECKED = """
from typing import assert_type
from dermquery import SearchResult
assert_type(results, list[SearchResult])
assert_type(result.hits[0].score, float)
"""
APART = (
    "lance,openvino,matplotlib,PIL,fsspec,jinja2,pyarrow,faiss,rapidfuzz,filelock,safetensors,pi_heif,tokenizers,pandas"
)
"""Libraries whose own types take a minute to read and say nothing about ours."""


@pytest.mark.slow
def test_a_script_of_the_page_is_typed_strictly(tmp_path: Path) -> None:
    lines = re.findall(r"^(?:>>>|\.\.\.) ?(.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    (tmp_path / "script.py").write_text("\n".join(lines) + CHECKED, encoding="utf-8")
    apart = ",".join(f"{name}.*" for name in APART.split(","))
    (tmp_path / "mypy.ini").write_text(
        f"[mypy]\nstrict = True\nfollow_imports = silent\n[mypy-{apart}]\nfollow_imports = skip\n"
        "ignore_missing_imports = True\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", "cache", "script.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "MYPYPATH": str(Path(dermquery.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
