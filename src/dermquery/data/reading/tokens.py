"""Cut a text into tokens of its language, despite typing errors; nothing of it is left out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import OSA

from dermquery.data.reading.lexicon import Kind, Language, Token, languages

__all__ = ["Placed", "tokens_of", "words_of"]

_PIECE = re.compile(
    r"""
    (?P<tick>\[\s*[x*+]\s*\]|\(\s*x\s*\))
  | (?P<box>\[\s*\]|\(\s*\))
  | (?P<doubt>\(?\+\s*/\s*-\)?|±|\(\s*\?+\s*\)|(?<![\w)\]])\?+\s*(?=[^\W_]))
  | (?P<plus>\(\s*\++\s*\)|(?<!\w)\+ve\b|(?<=[^\W_])\s*\++(?=\s*(?:[,.;)\n]|$)))
  | (?P<minus>\(\s*-+\s*\)|(?<!\w)-ve\b)
  | (?P<short>(?<=[^\W_])-(?=[^\S\n]+[^\W\d_]))
  | (?P<dash>(?<=[^\W_])\s*[:=]?\s*-+(?=[^\S\n]*(?:[,.;)\n]|$)))
  | (?P<word>\d+(?:[.,:]\d+)*[^\W_]*|[^\W\d_][^\W_]*)
  | (?P<and>[&+/])
  | (?P<comma>,)
  | (?P<stop>[;!|.])
  | (?P<ask>\?+)
  | (?P<is>[:=])
  | (?P<line>\n)
  | (?P<symbol>[^\s\w\x00-\x7f])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SIGNS: Mapping[str, Kind] = {"plus": "present", "minus": "absent", "dash": "absent"}
_SAYING = ("So", "Sm", "Sk")
"""Categories of Unicode: symbols other than of currencies."""
_KINDS: tuple[Kind, ...] = (
    "tick", "box", "doubt", "present", "absent", "and", "comma", "stop", "dot", "ask", "is", "line",
)  # fmt: skip
_PLAIN: Mapping[str, Token] = {kind: Token(kind) for kind in _KINDS}
_NUMBER, _UNKNOWN = Token("number"), Token("unknown")
_LETTERS: Mapping[str, Kind] = {
    "n": "absent", "y": "present", "0": "absent", "1": "present", "false": "absent", "true": "present",
}  # fmt: skip


class Placed(NamedTuple):
    """A token and where it stands.

    Attributes:
        start, end: in the plain text.
        first, last: its words' numbers in the text, words that say nothing not counted.
    """

    token: Token
    start: int
    end: int
    first: int = 0
    last: int = 0
    stems: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """Of the token."""
        return self.token.kind


class _Word(NamedTuple):
    stem: str
    start: int
    end: int


def words_of(text: str) -> list[str]:
    """The words of a plain text, as they were written."""
    return re.findall(r"(?<![+-])[^\W\d_]+", text)  # without the "ve" of "+ve"


def tokens_of(text: str, language: Language) -> list[Placed]:
    """Longest phrases of the language from left to right, unknown words and signs."""
    return _numbered(_none_of(_matched(_pieces(text, language), language)))


def _none_of(found: list[Placed]) -> list[Placed]:
    """With the denial that a zero at the beginning of a statement is ("0 streaks")."""
    for at, placed in enumerate(found[:-1]):
        begins = at == 0 or found[at - 1].kind in ("comma", "stop", "line", "and")
        if placed.stems == ("0",) and placed.kind == "number" and begins and found[at + 1].kind in ("item", "quality"):
            found[at] = placed._replace(token=Token("no"))
    return found


def _pieces(text: str, language: Language) -> list[_Word | Placed]:
    """Words by their stems, abbreviations written out, and signs."""
    found: list[_Word | Placed] = []
    for match in _PIECE.finditer(text):
        kind, start, end = match.lastgroup or "", *match.span()
        if kind == "word":
            stem = language.stem(match[0])
            full = language.abbreviations.get(stem) or _spelling(stem, language.code)
            found += [_Word(part, start, end) for part in full]
        elif kind == "symbol":
            # Of a sign that is not punctuation nobody knows what it says: an emoji, a sign of logic.
            found += [_Word(match[0], start, end)] if unicodedata.category(match[0]) in _SAYING else []
        elif kind == "short":
            found += _minus(found, start, end, text, language)
        elif kind == "stop" and match[0] == "." and found and _is_abbreviation(found[-1], text, language):
            found.append(Placed(_PLAIN["dot"], start, end))
        else:
            stems = ("-",) if kind == "dash" else ()
            found.append(Placed(_PLAIN[_SIGNS.get(kind, kind)], start, end, stems=stems))
    return found


def _minus(found: list[_Word | Placed], start: int, end: int, text: str, language: Language) -> list[_Word | Placed]:
    """What a hyphen says that clings to the word before: of an abbreviation that it is absent ("BWV- PN atyp")."""
    clings = bool(found) and _is_abbreviation(found[-1], text, language)
    return [Placed(_PLAIN["absent"], start, end, stems=("-",))] if clings else []


def _is_abbreviation(piece: _Word | Placed, text: str, language: Language) -> bool:
    return isinstance(piece, _Word) and language.stem(text[piece.start : piece.end]) in language.abbreviations


def _matched(pieces: list[_Word | Placed], language: Language) -> list[Placed]:
    found: list[Placed] = []
    at = 0
    while at < len(pieces):
        piece = pieces[at]
        if isinstance(piece, Placed):
            found.append(piece)
            at += 1
            continue
        run = _run(pieces, at, language)
        stems = tuple(stem for stem, _, _ in run)
        length = next((n for n in range(len(run), 0, -1) if stems[:n] in language.phrases), 0)
        token = language.phrases[stems[:length]] if length else _unknown(piece.stem, found, language)
        _, end, at = run[max(length, 1) - 1]
        found.append(Placed(token, piece.start, end, stems=stems[: max(length, 1)]))
    return found


def _run(pieces: list[_Word | Placed], at: int, language: Language) -> list[tuple[str, int, int]]:
    """The words from ``at`` on, each with its end and the index after it; a line's end divides no name."""
    run: list[tuple[str, int, int]] = []
    for index in range(at, len(pieces)):
        piece = pieces[index]
        if isinstance(piece, _Word):
            run.append((piece.stem, piece.end, index + 1))
        elif piece.kind == "and":
            run.append((language.joiner, piece.end, index + 1))
        elif piece.kind != "dot" and not (piece.kind == "line" and not _names(tuple(s for s, _, _ in run), language)):
            break
        if len(run) == language.longest:
            break
    return run


def _names(stems: tuple[str, ...], language: Language) -> bool:
    token = language.phrases.get(stems)
    return token is not None and token.kind == "item"


def _unknown(stem: str, found: list[Placed], language: Language) -> Token:
    """The token of a word of no phrase: a number, a letter that answers ("BWV: N", "streaks=0"), or unknown."""
    before = next((p for p in reversed(found) if p.kind != "is"), None)
    asked = before is not None and before.kind == "item" and (found[-1].kind == "is" or stem.isdigit())
    if asked and stem in _LETTERS:
        return _PLAIN[_LETTERS[stem]]
    if stem[0].isdigit():
        return _NUMBER
    return _PLAIN["doubt"] if _denies_word(stem, language) else _UNKNOWN


def _denies_word(stem: str, language: Language) -> bool:
    """Whether an unknown word is the denial of a known one ("unconfirmed", "untypical")."""
    return any(stem.startswith(p) and stem[len(p) :] in language.vocabulary_set for p in language.denying_prefixes)


def _numbered(found: list[Placed]) -> list[Placed]:
    """With the numbers of their words."""
    numbered, at = [], 0
    for placed in found:
        counted = 0 if placed.kind in ("irrelevant", "number", "is", "line", "dot") else 1
        numbered.append(placed._replace(first=at, last=at + counted))
        at += counted
    return numbered


@lru_cache(maxsize=4096)
def _spelling(stem: str, code: str) -> tuple[str, ...]:
    """The stems of the language that a mistyped one stands for; the stem itself if none is near.

    A slip changes, drops, doubles or swaps one letter (two in a long word) and rarely hits the first one. What lies as
    near to a word as to its opposite ("rregular") is left unknown, and so is what no slip makes ("unregular").
    """
    language = languages()[code]
    if len(stem) < 4 or stem in language.words or stem in language.ordinary or not stem.isalpha():
        return (stem,)
    if _denies_word(stem, language):
        return (stem,)
    limit = 1 if len(stem) < 8 else 2
    near = process.extract(stem, language.vocabulary, scorer=OSA.distance, score_cutoff=limit, limit=None)
    likely = [guess for guess, distance, _ in near if _is_likely(stem, guess, int(distance))]
    distances = {guess: distance for guess, distance, _ in near}
    if not likely:
        return _joined(stem, language)
    guess = min(likely, key=lambda guess: (distances[guess] + (stem[0] != guess[0]), guess))
    # The shorter of two opposites may have lost its "ir" to the slip.
    as_near = any(
        other != guess and other.endswith(guess) and distance <= distances[guess]
        for other, distance in distances.items()
    )
    return (stem,) if as_near or _adds_denial(stem, guess) else (guess,)


def _adds_denial(stem: str, guess: str) -> bool:
    """Whether the letters that the guess drops stand in front of it, as those of "un" and "non" do."""
    return len(stem) > len(guess) and stem[0] != guess[0]


def _joined(stem: str, language: Language) -> tuple[str, ...]:
    """Two known words that were written together ("noveil"); of several cuts the one with the longest first word."""
    for cut in range(len(stem) - 3, 1, -1):
        if stem[:cut] in language.words and stem[cut:] in language.vocabulary and len(stem[cut:]) > 3:
            return stem[:cut], stem[cut:]
    return (stem,)


def _is_likely(word: str, guess: str, distance: int) -> bool:
    if word[0] != guess[0]:
        return len(word) >= 8 and distance == 1
    return len(word) > 4 or set(word) == set(guess)
