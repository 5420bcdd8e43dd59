"""No word of a case or a query is a command to the terminal."""

from __future__ import annotations

import io
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dermquery.cli.plain_text import plain_text, print_plainly

_OWN = re.compile(r"\x1b\[[0-9;]*m")
"""What rich itself writes here: colours."""
SIGNS = st.text(st.characters(categories=["Cc", "L", "Zs"]), max_size=30)


@pytest.fixture(autouse=True, scope="module")
def _plainly() -> None:
    print_plainly()


def printed(words: str) -> str:
    stream = io.StringIO()
    out = Console(file=stream, force_terminal=True, color_system="standard", width=200)
    table = Table("case")
    table.add_row(Text(words))
    out.print(table, Text(words, style="yellow"), Text.assemble(("error: ", "bold red"), words))
    return stream.getvalue()


@given(SIGNS)
def test_nothing_printed_holds_a_control_character_of_its_words(words: str) -> None:
    said = _OWN.sub("", printed(words))
    assert {sign for sign in said if unicodedata.category(sign) == "Cc"} <= {"\n", "\t"}


@pytest.mark.parametrize("words", ["\x1b[2Jgone", "\x1b]0;title\x07", "\x9b31mred", "a\x08b", "\x1b[31mred\x1b[0m"])
def test_what_terminals_obey_is_words(words: str) -> None:
    assert plain_text(words) in printed(words)
    assert "\x1b[2J" not in printed(words)
    assert "\x1b[31mred" not in printed(words)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_words_stay(words: str) -> None:
    assert plain_text(words) == words
    assert plain_text(f"{words}\n\t") == f"{words}\n\t"
