"""Write a text in plain characters, so that a sign that merely looks different never changes what is read.

Apostrophes, dashes, spaces and full-width or composed letters become the plain ones, words that a soft hyphen, an
invisible space or the end of a line divides become whole again, and the markup of web pages is taken out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from html import unescape
from html.entities import html5

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
_TAG = re.compile(
    r"""</?(?:(?P<inline>b|i|u|em|strong|span|font|mark|small|big|a)|(?P<struck>s|del|strike)|br|p|div|ul|ol|li|h[1-6]|hr|table|tbody|tr|td|th)
    (?:\s+[\w:-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s<>"']+))*\s*/?>""",
    re.VERBOSE | re.IGNORECASE,
)
"""Of web pages."""
_ENTITY = re.compile(r"&(#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8});", re.IGNORECASE)
_DIVIDED = re.compile(r"([^\W\d_]+)(?:-|\u00ad)[^\S\n]*\n\s*([^\W\d_]+)")


def plain(text: str, known: Callable[[str], bool]) -> str:
    """The text in plain characters; ``known`` says whether a word that a line's end divides is one when it is whole."""
    text = _TAG.sub(_instead, text)
    text = _ENTITY.sub(lambda entity: _meant(entity, known), text)
    text = _LINE_ENDS.sub("\n", text.translate(_APOSTROPHES))
    text = _NULL.sub(" (-) ", unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_DASHES))
    text = _DIVIDED.sub(lambda match: _whole(match, known), text)
    text = "".join(c for c in text if c == "\n" or unicodedata.category(c) != "Cf")
    return re.sub(r"(?<=[^\W\d_])n't\b", " not", re.sub(r"\bcan't\b", "cannot", text, flags=re.I), flags=re.I)


def _instead(tag: re.Match[str]) -> str:
    """What markup says: the end of a line, a doubt of words that are struck out, or nothing."""
    if tag["struck"] and tag[0].startswith("</"):
        return " (?) "
    return "" if tag["inline"] or tag["struck"] else "\n"


def _meant(entity: re.Match[str], known: Callable[[str], bool]) -> str:
    """The character of an entity; "dots&comma;" is no entity but words."""
    name = entity[1]
    exists = name.startswith("#") or (f"{name};" in html5 and not known(name))
    return unescape(entity[0]) if exists else entity[0]


def _whole(match: re.Match[str], known: Callable[[str], bool]) -> str:
    first, second = match.groups()
    return f"{first}{second}" if "\u00ad" in match[0] or known(first + second) else f"{first}-{second}"


def folded(word: str) -> str:
    """A word without case and accents; a short one keeps its accents, which tell "è" (is) from "e" (and)."""
    if len(word) <= _SHORT or word.isascii():
        return word.casefold()
    return "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))
