"""Match the words of a text to the lexicon's tokens, despite typing errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import OSA

from dermquery.data.lexicon import Token, lexicon, vocabulary, words

__all__ = ["Placed", "tokens_of"]

_FILLERS = frozenset(("a", "an", "the", "is", "are", "was", "were", "of", "in", "on", "both", "also", "very", "some"))
_NEVER_TYPING_ERRORS = frozenset(("brown", "crown", "common", "vein", "plate", "patient", "pattern", "symptoms"))


class Placed(NamedTuple):
    """A token and where its words stand in the segment, fillers not counted."""

    token: Token
    start: int
    end: int


def tokens_of(text: str) -> list[Placed]:
    """Longest phrases of the lexicon, from left to right."""
    spelt = [_spelling(word) for word in words(text)]
    found = _matched(spelt, lexicon())
    if any("vascular_structures" in placed.token.meanings for placed in found if placed.token.kind == "item"):
        return found
    return _matched(spelt, _without_vessels())


@cache
def _without_vessels() -> Mapping[tuple[str, ...], Token]:
    """The lexicon without "in regression", which describes vessels where there are some, and else is regression."""
    return {p: t for p, t in lexicon().items() if t.meanings.get("vascular_structures") != "within regression"}


def _matched(spelt: Sequence[str], phrases: Mapping[tuple[str, ...], Token]) -> list[Placed]:
    longest = _longest()
    found, at, skipped = [], 0, 0
    while at < len(spelt):
        for length in range(min(longest, len(spelt) - at), 0, -1):
            token = phrases.get(tuple(spelt[at : at + length]))
            if token:
                found.append(Placed(token, at - skipped, at - skipped + length))
                at += length
                break
        else:
            skipped += spelt[at] in _FILLERS
            at += 1
    return found


@cache
def _longest() -> int:
    return max(map(len, lexicon()))


@lru_cache(maxsize=4096)
def _spelling(word: str) -> str:
    """The word of the lexicon that a mistyped one stands for; the word itself if none is near.

    A slip changes, drops, doubles or swaps one letter (two in a long word) and rarely hits the first one.
    """
    known = vocabulary()
    if len(word) < 4 or word in known or word in _NEVER_TYPING_ERRORS:
        return word
    limit = 1 if len(word) < 8 else 2
    near = process.extract(word, known, scorer=OSA.distance, score_cutoff=limit, limit=None)
    likely = sorted((distance, guess) for guess, distance, _ in near if _is_likely(word, guess, int(distance)))
    return likely[0][1] if likely else word


def _is_likely(word: str, guess: str, distance: int) -> bool:
    if word[0] != guess[0]:
        return len(word) >= 8 and distance == 1
    return len(word) > 4 or set(word) == set(guess)
