"""What cases say is words: none of it may move the cursor, recolour or rename the terminal that it is shown in.

rich takes bells and backspaces out of every text that it prints, and leaves the escape character, with which every
command to a terminal begins.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import rich.console
import typer
from rich.segment import Segment

__all__ = ["Console", "plain_text", "say"]

_KEPT = "\n\t"


def plain_text(text: str) -> str:
    """The text without control characters (Unicode's Cc, of C0 and C1) but line breaks and tabs."""
    if text.isprintable():
        return text
    return "".join(sign for sign in text if sign in _KEPT or unicodedata.category(sign) != "Cc")


def say(text: str, *, err: bool = False) -> None:
    """Print a text so, as it is broken into lines, for other programs too; ``err`` to stderr."""
    typer.echo(plain_text(text), err=err)


class Console(rich.console.Console):  # noqa: TID251 the one that all others are to be
    """rich's, which prints every text so; styles and moves of the cursor are no text of its segments, and stay."""

    def render(
        self, renderable: rich.console.RenderableType, options: rich.console.ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """The segments of what is printed, of which those that are no moves of rich's own are plain."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain_text(segment.text), segment.style)
