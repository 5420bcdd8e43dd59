"""Write a text in plain characters, so that a sign that merely looks different never changes what is read.

Apostrophes, dashes, spaces and full-width or composed letters become the plain ones, and words that a soft hyphen, an
invisible space or the end of a line divides become whole again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

__all__ = ["folded", "plain"]

_APOSTROPHES = dict.fromkeys(map(ord, "’‘‛ʼʹ´`′＇ʻˈ"), "'")  # before NFKC, which makes a space and an accent of "´"
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹘﹣－⁃"), "-")
_SIGNS = {
    **dict.fromkeys(map(ord, "☐□◻▢"), "[ ] "),
    **dict.fromkeys(map(ord, "☑☒■◼"), "[x] "),
    **dict.fromkeys(map(ord, "✓✔✅⊕👍"), " (+) "),
    **dict.fromkeys(map(ord, "✗✘✕✖❌⊖⊝∅⌀¬≠👎🚫⛔"), " (-) "),
    **dict.fromkeys(map(ord, "…•·●▪◦‣►▶➤➢★☆◆◇■🔹🔸"), " ; "),
    **dict.fromkeys(map(ord, "°×÷≈≤≥®™©"), " "),  # of measures and names
    ord("¿"): " ",
    ord("¡"): " ",
}
_SHORT = 2
_LINE_ENDS = re.compile(r"\r\n?|[\u0085\u2028\u2029\v\f]")
_NULL = re.compile(r"(?<!\w)[Øø](?!\w|\s*\d)")  # before a number it is a diameter
_DIVIDED = re.compile(r"([^\W\d_]+)(?:-|\u00ad)[^\S\n]*\n\s*([^\W\d_]+)")


def plain(text: str, known: Callable[[str], bool]) -> str:
    """The text in plain characters; ``known`` says whether a word that a line's end divides is one when it is whole."""
    text = _LINE_ENDS.sub("\n", text.translate(_APOSTROPHES))
    text = _NULL.sub(" (-) ", unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_DASHES))
    text = _DIVIDED.sub(lambda match: _whole(match, known), text)
    text = "".join(c for c in text if c == "\n" or unicodedata.category(c) != "Cf")
    return re.sub(r"(?<=[^\W\d_])n't\b", " not", re.sub(r"\bcan't\b", "cannot", text, flags=re.I), flags=re.I)


def _whole(match: re.Match[str], known: Callable[[str], bool]) -> str:
    first, second = match.groups()
    return f"{first}{second}" if "\u00ad" in match[0] or known(first + second) else f"{first}-{second}"


def folded(word: str) -> str:
    """A word without case and accents; a short one keeps its accents, which tell "è" (is) from "e" (and)."""
    if len(word) <= _SHORT or word.isascii():
        return word.casefold()
    return "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))
