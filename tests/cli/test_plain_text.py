"""No word of a case or a query is a command to the terminal."""

from __future__ import annotations

import io
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.cli.plain_text import Console, plain_text
from tests.store.conftest import draw_lesion

_OWN = re.compile(r"\x1b\[[0-9;]*m")
"""What rich itself writes here: colours."""
SIGNS = st.text(st.characters(categories=["Cc", "L", "Zs"]), max_size=30)


def printed(words: str, width: int = 200) -> str:
    stream = io.StringIO()
    out = Console(file=stream, force_terminal=True, color_system="standard", width=width)
    table = Table("case")
    table.add_row(Text(words))
    out.print(table, Text(words, style="yellow"), Text.assemble(("error: ", "bold red"), words))
    out.print(escape(words))
    out.print(escape(words), soft_wrap=True)
    return stream.getvalue()


@given(SIGNS, st.integers(8, 200))
def test_nothing_printed_holds_a_control_character_of_its_words(words: str, width: int) -> None:
    said = _OWN.sub("", printed(words, width))
    assert {sign for sign in said if unicodedata.category(sign) == "Cc"} <= {"\n", "\t"}


@pytest.mark.parametrize("words", ["\x1b[2Jgone", "\x1b]0;title\x07", "\x9b31mred", "a\x08b", "\x1b[31mred\x1b[0m"])
def test_what_terminals_obey_is_words(words: str) -> None:
    assert plain_text(words) in printed(words)
    assert "\x1b[2J" not in printed(words)
    assert "\x1b[31mred" not in printed(words)


def test_a_bar_still_moves_the_cursor() -> None:
    stream = io.StringIO()
    with Progress(console=Console(file=stream, force_terminal=True)) as bar:
        bar.add_task("\x1b[2Jgone", total=2)
    assert "\x1b[?25l" in stream.getvalue(), "rich hides it"
    assert "\x1b[2J" not in stream.getvalue()


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_words_stay(words: str) -> None:
    assert plain_text(words) == words
    assert plain_text(f"{words}\n\t") == f"{words}\n\t"


@pytest.mark.parametrize(
    "command", [["data", "inspect", "t.csv"], ["data", "prepare", "folder", ".", "--table", "t.csv", "--out", "out"]]
)
def test_no_word_of_a_table_commands_the_terminal(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw_lesion(tmp_path / "x.png", 1)
    Path("t.csv").write_text(
        "id,image,diagnosis,col\x1b[2J\na\x9b2J,x.png,m\x1bel,1\nb\x1b]0;,y\x1b.png,nv,2\n", encoding="utf-8"
    )
    done = CliRunner().invoke(app, command)
    assert "col[2J" in done.output or "y.png" in done.output, done.output
    assert {sign for sign in done.output if unicodedata.category(sign) == "Cc"} <= {"\n", "\t"}, repr(done.output)
