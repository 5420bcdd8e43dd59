"""Every command that the documentation shows is one that the program knows, and beginners' pages run as they stand."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click import Context
from typer.main import get_command

from dermquery.cli import app, join_others

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(?P<kind>\w+)[^\n]*\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(dermquery [^`]+)`")
_NOT_HERE = re.compile(r"pip install|dermquery serve")
"""What these tests do not do: install, and wait for people."""


def _pages() -> list[Path]:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    return sorted(page for page in pages if "decisions" not in page.parts)


def _blocks(page: Path, *kinds: str) -> Iterator[tuple[str, str]]:
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["kind"] in kinds:
            yield block["kind"], block["code"]


def _commands(page: Path) -> Iterator[list[str]]:
    """The arguments of every ``dermquery …`` of a page, in its blocks and in its lines."""
    blocks = [code.replace("\\\n", " ") for _, code in _blocks(page, "bash", "sh", "console")]
    lines = [line for code in blocks for line in code.splitlines()] + _INLINE.findall(page.read_text(encoding="utf-8"))
    for line in lines:
        for part in re.split(r"\s(?:&&|\||;)\s", line):
            begin = re.search(r"(?:^|\"|/bin/)dermquery (?=[a-z])", part.strip())
            if begin and "$(" not in part:
                said = part.strip()[begin.start() :].split(" > ")[0].replace("…", "")
                words = shlex.split(said.strip('"') if said.count('"') % 2 else said, comments=True)
                if not any(word.startswith("$") for word in words):
                    yield words[1:]


def _wrong(words: list[str]) -> str | None:
    """What the program would not know in these arguments."""
    command: Any = get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        if (inner := command.get_command(Context(command), words[0])) is None:
            return f"no command {words[0]!r}"
        command, words = inner, words[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [
        word for word in words if re.fullmatch(r"--?[a-z][\w-]*(=.*)?", word) and word.split("=")[0] not in known
    ]
    return f"{command.name} has no {', '.join(unknown)}" if set(unknown) - {"--help"} else None


@pytest.mark.parametrize("page", _pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_that_a_page_shows_exists(page: Path) -> None:
    join_others()
    assert [(words, said) for words in _commands(page) if (said := _wrong(list(words)))] == []


@pytest.mark.parametrize("page", _pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_block_is_python(page: Path) -> None:
    for _, code in _blocks(page, "python", "py"):
        ast.parse(code)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index.md", "operate.md"])
def test_a_page_for_beginners_runs_from_top_to_bottom(name: str, tmp_path: Path) -> None:
    script = ["set -euo pipefail"]
    for kind, code in _blocks(ROOT / "docs" / name, "bash", "python"):
        if kind == "python":
            script.append(f"python - <<'PYTHON'\n{code}PYTHON")
        else:
            script += [line for line in code.splitlines() if not _NOT_HERE.search(line)]
    program = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{program}:{os.environ['PATH']}", "DERMQUERY_STATE": str(tmp_path / "home")}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_pages_that_messages_name_exist() -> None:
    named: dict[str, set[str]] = {}
    for module in (ROOT / "src").rglob("*.py"):
        for page in re.findall(r"\bdocs/[\w/-]+\.md", module.read_text(encoding="utf-8")):
            named.setdefault(page, set()).add(module.name)
    assert {page: modules for page, modules in named.items() if not (ROOT / page).is_file()} == {}
    assert len(named) >= 8
