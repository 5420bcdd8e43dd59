"""What cases say is words: none of it may move the cursor, recolour or rename the terminal that it is shown in.

rich takes bells and backspaces out of every text that it prints, by ``strip_control_codes``, and leaves the escape
character, with which every command to a terminal begins.
"""

from __future__ import annotations

import unicodedata

import rich.text

__all__ = ["plain_text", "print_plainly"]

_KEPT = "\n\t"


def plain_text(text: str, *_: object) -> str:
    """The text without control characters (Unicode's Cc, of C0 and C1) but line breaks and tabs."""
    if text.isprintable():
        return text
    return "".join(sign for sign in text if sign in _KEPT or unicodedata.category(sign) != "Cc")


def print_plainly() -> None:
    """Let rich print every text so; its own styles are written after this, and stay."""
    rich.text.strip_control_codes = plain_text  # type: ignore[assignment, attr-defined]
