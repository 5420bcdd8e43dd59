"""From a text that a person writes to the checklist values that it names.

Synonyms, abbreviations, typing errors, any order, negation ("no evidence of a veil", "vessels not seen"), and one word
that describes several structures ("irregular streaks and globules") are understood; what names no finding is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import OSA

from dermquery.data.case import Query
from dermquery.data.checklist import ABSENT, CRITERIA
from dermquery.data.lexicon import SHORTHAND, Token, lexicon, vocabulary, words

__all__ = ["Findings", "query_terms", "read_findings"]

_CLAUSE = re.compile(r"[.;!?\n]+(?!\w)|[;!?\n]|\b(?:but|however|although|though|whereas|while|yet)\b", re.IGNORECASE)
_SEGMENT = re.compile(r"(,|\bwith\b)", re.IGNORECASE)
_FILLERS = frozenset(("a", "an", "the", "is", "are", "was", "were", "of", "in", "on", "both", "also", "very", "some"))
_NEVER_TYPING_ERRORS = frozenset(("brown", "crown", "common", "vein", "plate", "patient", "pattern", "symptoms"))


@dataclass(frozen=True)
class Findings:
    """What a text says.

    Attributes:
        checklist: criterion to value, in the checklist's order.
        unread: the clauses that name no finding, as they were written.
    """

    checklist: dict[str, str]
    unread: tuple[str, ...]


class _Placed(NamedTuple):
    """A token and where its words stand in the segment, fillers not counted."""

    token: Token
    start: int
    end: int


def read_findings(text: str) -> Findings:
    """Checklist values named by ``text``; the first value of a criterion stands.

    A value that is only ruled out ("no irregular streaks" may be regular ones) gives nothing, unless the criterion has
    no other value. A criterion that is named without a value gives nothing either, except the blue-whitish veil.
    """
    found: dict[str, str] = {}
    unread = []
    for pattern, full in SHORTHAND:
        text = pattern.sub(full, text)
    for clause in _CLAUSE.split(text):
        named = list(_clause_findings(clause))
        for name, value in named:
            if value and {found.get(name), value} == {"blue areas", "white areas"}:
                found[name] = "combinations"
            elif value:
                found.setdefault(name, value)
        if not named and re.search(r"[^\W_]", clause):
            unread.append(" ".join(clause.split()).strip(" ,"))
    return Findings({name: found[name] for name in CRITERIA if name in found}, tuple(unread))


def query_terms(query: Query) -> dict[str, str]:
    """Checklist criteria that a query gives: those read in its free text, overruled by those given as terms."""
    found = {**read_findings(query.text or "").checklist, **query.checklist}
    return {name: found[name] for name in CRITERIA if name in found}


def _clause_findings(clause: str) -> Iterator[tuple[str, str]]:
    """Criterion and value of each finding of a clause; the value is empty where the criterion is only mentioned."""
    pieces = _SEGMENT.split(clause)
    segments = [_tokens(piece) for piece in pieces[::2]]
    denied = False
    for at, segment in enumerate(segments):
        if not _has_item(segment):
            continue
        carried = denied and pieces[2 * at - 1] == ","
        follows = segments[at + 1] if at + 1 < len(segments) and not _has_item(segments[at + 1]) else []
        named = list(_segment_findings(segment, follows, carried))
        denied = named[-1][2]
        yield from ((name, value) for name, value, _ in named)


def _segment_findings(segment: list[_Placed], follows: list[_Placed], carried: bool) -> Iterator[tuple[str, str, bool]]:
    """Criterion, value, and whether a bare criterion after it would be denied too."""
    flags = _denials(segment, carried)
    goes_on = carried or any(placed.token.kind == "no" for placed in segment)  # "no streaks, globules or veil"
    for at, placed in enumerate(segment):
        if placed.token.kind != "item":
            continue
        ((name, value),) = placed.token.meanings.items()
        described = value or _described(name, at, segment) or _described(name, -1, [placed, *follows])
        if flags[at]:
            # Only one word before it, or a value of its own, says that one value of several is ruled out.
            bare = not value and not (at and segment[at - 1].token.kind == "quality")
            whole = bare or len(CRITERIA[name].values) == 2
            yield name, ABSENT if whole and value != ABSENT else "", bare and goes_on
        elif _ruled_out(at, segment):
            yield name, "", False
        else:
            yield name, described or _only_value(name), False


def _only_value(name: str) -> str:
    return CRITERIA[name].values[1] if len(CRITERIA[name].values) == 2 else ""


def _denials(segment: list[_Placed], carried: bool) -> list[bool]:
    """For each token whether it is an item that the text says is not there."""
    flags = [False] * len(segment)
    denying, first, joined = carried, False, ""
    for at, (token, _, _) in enumerate(segment):
        if token.kind == "absent" and (before := _bare_run(segment, flags, at)):
            for item in before:
                flags[item] = True
        elif token.kind in ("no", "absent"):
            denying = first = _has_item(segment[at + 1 :])
        elif token.kind in ("and", "or"):
            joined = token.kind
        elif token.kind == "item":
            bare = not any(token.meanings.values()) and not (at and segment[at - 1].token.kind == "quality")
            denying = denying and (first or bare or joined == "or")
            flags[at], first = denying, False
    return flags


def _bare_run(segment: list[_Placed], flags: list[bool], end: int) -> list[int]:
    """The items without a value right before ``end``, joined by nothing but "and" and "or"."""
    run = []
    for at in range(end - 1, -1, -1):
        token = segment[at].token
        if token.kind == "item" and not any(token.meanings.values()) and not flags[at]:
            run.append(at)
        elif token.kind not in ("and", "or"):
            if token.kind == "quality" and run:
                run.pop()  # "irregular streaks absent" rules one value out
            break
    return run


def _ruled_out(at: int, segment: list[_Placed]) -> bool:
    """Whether "not" stands between the item and the quality that follows it ("network not atypical")."""
    kinds = [placed.token.kind for placed in segment[at + 1 : at + 3]]
    return kinds == ["no", "quality"]


def _described(name: str, at: int, segment: list[_Placed]) -> str:
    """Value that the qualities of a segment give the item at ``at`` (−1: they all belong to the segment's first)."""
    if name == "pigmentation":
        extent = _nearest(name, at, segment, lambda meaning: meaning.endswith("…"))
        evenness = _nearest(name, at, segment, lambda meaning: meaning.startswith("…"))
        return f"{extent[:-2]} {evenness[2:]}" if extent and evenness else ""
    return _nearest(name, at, segment, lambda meaning: True)


def _nearest(name: str, at: int, segment: list[_Placed], fits: object) -> str:
    best: tuple[bool, int] | None = None
    value = ""
    for place, (token, _, _) in enumerate(segment):
        meaning = token.meanings.get(name, "") if token.kind == "quality" else ""
        if not meaning or not fits(meaning):  # type: ignore[operator]
            continue
        item = max(at, 0)
        owner = _owner(place, segment)
        own = owner == item
        if not own and not _may_borrow(item, place, owner, segment):
            continue
        rank = (not own, abs(place - item))
        if best is None or rank < best:
            best, value = rank, meaning
    return value


def _owner(place: int, segment: list[_Placed]) -> int | None:
    """Index of the item that a quality stands beside, with nothing but qualities between."""
    sides = []
    for step in (-1, 1):
        at = place + step
        while 0 <= at < len(segment) and segment[at].token.kind in ("quality", "no"):
            at += step
        sides.append(at if 0 <= at < len(segment) and segment[at].token.kind == "item" else None)
    before, after = sides
    if before is None or after is None:
        return after if before is None else before
    first = next(p.token.kind for p in segment if p.token.kind in ("item", "quality"))
    return before if first == "item" else after


def _may_borrow(item: int, place: int, owner: int | None, segment: list[_Placed]) -> bool:
    """Whether a quality reaches past its owner to a joined item ("irregular streaks and globules")."""
    if owner is not None and (owner > place) != (item > place):
        return False
    low, high = sorted((item, place))
    between = segment[low + 1 : high]
    joined = all(p.token.kind in ("and", "or", "item", "quality") for p in between)
    # A second quality between has the farther item for itself, unless both describe the same one.
    last = place if owner is None else owner
    crossed = segment[min(item, last) + 1 : max(item, last)]
    touching = all(b.start == a.end for a, b in zip(segment[low:high], segment[low + 1 : high + 1], strict=True))
    return joined and touching and not any(p.token.kind == "quality" for p in crossed)


def _has_item(segment: Sequence[_Placed]) -> bool:
    return any(placed.token.kind == "item" for placed in segment)


def _tokens(text: str) -> list[_Placed]:
    """Longest phrases of the lexicon, from left to right."""
    spelt = [_spelling(word) for word in words(text)]
    phrases, longest = lexicon(), _longest()
    found, at, skipped = [], 0, 0
    while at < len(spelt):
        for length in range(min(longest, len(spelt) - at), 0, -1):
            token = phrases.get(tuple(spelt[at : at + length]))
            if token:
                found.append(_Placed(token, at - skipped, at - skipped + length))
                at += length
                break
        else:
            skipped += spelt[at] in _FILLERS
            at += 1
    return found


@lru_cache(maxsize=1)
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
