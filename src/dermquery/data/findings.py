"""Read checklist values from free text.

Synonyms, abbreviations, typing errors, any order, negation ("no evidence of a veil", "vessels not seen"), and one word
that describes several structures ("irregular streaks and globules") are understood; clauses without a finding are
reported as unread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dermquery.data.checklist import ABSENT, CRITERIA
from dermquery.data.lexicon import SHORTHAND
from dermquery.data.tokens import Placed, tokens_of

__all__ = ["Findings", "read_findings"]

_CLAUSE = re.compile(r"[.;!?\n]+(?!\w)|[;!?\n]|\b(?:but|however|although|though|whereas|while|yet)\b", re.IGNORECASE)
_REACH = 40
"""Greatest number of tokens between an item and a quality that describes it."""
_SEGMENT = re.compile(r"(,|\bwith\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Findings:
    """The findings in a text.

    Attributes:
        checklist: criterion to value, in the checklist's order.
        unread: the clauses that name no finding, as they were written.
    """

    checklist: dict[str, str]
    unread: tuple[str, ...]


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


def _clause_findings(clause: str) -> Iterator[tuple[str, str]]:
    """Criterion and value of each finding of a clause; the value is empty where the criterion is only mentioned."""
    segments = _segments(clause)
    denied = False
    for segment, later in zip(segments, _laters(segments), strict=True):
        carried = denied and segment.after_comma and not _has(segment.tokens, "quality")
        # "streaks, globules and veil are all absent"
        ends_absent = later is not None and later.after_comma and _is_bare(segment.tokens) and _all_absent(later.tokens)
        named = list(_segment_findings(segment, carried, ends_absent=ends_absent))
        denied = named[-1][2]
        yield from ((name, value) for name, value, _ in named)


class _Segment(NamedTuple):
    """What stands between two commas, and what follows it without naming another structure."""

    tokens: list[Placed]
    follows: list[Placed]
    after_comma: bool


def _segments(clause: str) -> list[_Segment]:
    """Segments that name a structure; "network, which is atypical" and "irregular: the dots" are one each."""
    found: list[_Segment] = []
    before: list[Placed] = []
    pieces = ["", *_SEGMENT.split(clause)]
    for joint, piece in zip(pieces[::2], pieces[1::2], strict=True):
        tokens = tokens_of(piece)
        if _has(tokens, "item"):
            found.append(_Segment([*before, *tokens], [], joint == ","))
            before = []
        elif found:
            found[-1].follows.extend(tokens)
        else:
            before += tokens
    return found


def _laters(segments: Sequence[_Segment]) -> list[_Segment | None]:
    """For each segment the first after it that does more than name structures of a list."""
    found: list[_Segment | None] = []
    later: _Segment | None = None
    for segment in reversed(segments):
        found.append(later)
        if not (_is_bare(segment.tokens) and segment.after_comma):
            later = segment
    return found[::-1]


def _is_bare(segment: list[Placed]) -> bool:
    """Whether a segment only names structures: nothing about how they look, or that they are not there."""
    return all(p.token.kind in ("and", "or") or (p.token.kind == "item" and not _value(p)) for p in segment)


def _all_absent(segment: list[Placed]) -> bool:
    """Whether a segment names structures and then says that they are absent."""
    kinds = [placed.token.kind for placed in segment]
    return "absent" in kinds and _is_bare(segment[: kinds.index("absent")]) and kinds[0] == "item"


def _value(placed: Placed) -> str:
    return next(iter(placed.token.meanings.values()), "")


def _has(segment: Sequence[Placed], kind: str) -> bool:
    return any(placed.token.kind == kind for placed in segment)


def _segment_findings(segment: _Segment, carried: bool, *, ends_absent: bool) -> Iterator[tuple[str, str, bool]]:
    """Criterion, value, and whether a bare criterion after it would be denied too."""
    tokens, follows, _ = segment
    flags = _denials(tokens, carried)
    first = next(at for at, placed in enumerate(tokens) if placed.token.kind == "item")
    goes_on = carried or _has(tokens, "no") or _has(tokens[:first], "absent")  # "no streaks, globules or veil"
    afterwards = ends_absent or (_has(follows, "absent") and not _has(follows, "quality") and _is_bare(tokens[-1:]))
    for at, placed in enumerate(tokens):
        if placed.token.kind != "item":
            continue
        ((name, value),) = placed.token.meanings.items()
        # Only one word before it, or a value of its own, says that one value of several is ruled out.
        bare = _is_unqualified(at, tokens)
        if flags[at] or (afterwards and bare):
            whole = bare or len(CRITERIA[name].values) == 2
            yield name, ABSENT if whole and value != ABSENT else "", bare and goes_on
        elif _ruled_out(at, tokens):
            yield name, "", False
        else:
            described = value or _described(name, at, tokens) or _described(name, -1, [placed, *follows])
            yield name, described or _only_value(name), False


def _is_unqualified(at: int, segment: list[Placed]) -> bool:
    """Whether an item has neither a value of its own nor a quality right before it."""
    return not _value(segment[at]) and not (at and segment[at - 1].token.kind == "quality")


def _only_value(name: str) -> str:
    return CRITERIA[name].values[1] if len(CRITERIA[name].values) == 2 else ""


def _denials(segment: list[Placed], carried: bool) -> list[bool]:
    """For each token whether it is an item that the text says is not there."""
    flags = [False] * len(segment)
    denying, first, joined = carried, False, ""
    last_item = _last(segment, "item")
    last = max(last_item, _last(segment, "quality"))
    for at, (token, _, _) in enumerate(segment):
        ends = last <= at
        if (token.kind == "absent" or (token.kind == "no" and ends)) and (before := _absent_run(segment, flags, at)):
            for item in before:
                flags[item] = True
        elif token.kind in ("no", "absent"):
            denying = first = last_item > at
        elif token.kind in ("and", "or"):
            joined = token.kind
        elif token.kind == "item":
            denying = denying and (first or joined == "or" or _is_unqualified(at, segment))
            flags[at], first = denying, False
    return flags


def _last(segment: list[Placed], kind: str) -> int:
    return max((at for at, placed in enumerate(segment) if placed.token.kind == kind), default=-1)


def _absent_run(segment: list[Placed], flags: list[bool], end: int) -> list[int]:
    """The items right before ``end``, joined by nothing but "and" and "or", of which the last may have a value."""
    run: list[int] = []
    for at in range(end - 1, -1, -1):
        placed = segment[at]
        if placed.token.kind == "item" and not flags[at] and (not run or not _value(placed)):
            run.append(at)
        elif placed.token.kind not in ("and", "or"):
            if placed.token.kind == "quality" and run and run[-1] == at + 1:
                run.pop()  # "irregular streaks absent" rules one value out
            break
    return run


def _ruled_out(at: int, segment: list[Placed]) -> bool:
    """Whether "not" stands between the item and the quality that follows it ("network not atypical")."""
    kinds = [placed.token.kind for placed in segment[at + 1 : at + 3]]
    return kinds == ["no", "quality"]


def _described(name: str, at: int, segment: list[Placed]) -> str:
    """Value that the qualities of a segment give the item at ``at`` (−1: they all belong to the segment's first)."""
    if name == "pigmentation":
        extent = _nearest(name, at, segment, lambda meaning: meaning.endswith("…"))
        evenness = _nearest(name, at, segment, lambda meaning: meaning.startswith("…"))
        return f"{extent[:-2]} {evenness[2:]}" if extent and evenness else ""
    return _nearest(name, at, segment, lambda meaning: True)


def _nearest(name: str, at: int, segment: list[Placed], fits: Callable[[str], bool]) -> str:
    best: tuple[bool, int] | None = None
    value = ""
    item = max(at, 0)
    first = next(p.token.kind for p in segment if p.token.kind in ("item", "quality"))
    for place in range(max(item - _REACH, 0), min(item + _REACH + 1, len(segment))):
        token = segment[place].token
        meaning = token.meanings.get(name, "") if token.kind == "quality" else ""
        if not meaning or not fits(meaning):
            continue
        owner = _owner(place, segment, first)
        rank = (owner != item, abs(place - item))
        if best is not None and rank >= best:
            continue
        if owner == item or _may_borrow(item, place, owner, segment):
            best, value = rank, meaning
    return value


def _owner(place: int, segment: list[Placed], first: str) -> int | None:
    """Index of the item that a quality stands beside; between them may only be qualities, or joined ones if need be.

    Between two items it belongs to the one before if the segment's ``first`` kind is "item", else to the one after.
    """
    before, after = _beside(place, segment, ("quality", "no"))
    if before is None and after is None:
        before, after = _beside(place, segment, ("quality", "and"))
    if before is None or after is None:
        return after if before is None else before
    return before if first == "item" else after


def _beside(place: int, segment: list[Placed], between: tuple[str, ...]) -> list[int | None]:
    """The nearest item before and after, each None if anything but ``between`` stands in the way."""
    sides: list[int | None] = []
    for step in (-1, 1):
        at = place + step
        while 0 <= at < len(segment) and abs(at - place) <= _REACH and segment[at].token.kind in between:
            at += step
        sides.append(at if 0 <= at < len(segment) and segment[at].token.kind == "item" else None)
    return sides


def _may_borrow(item: int, place: int, owner: int | None, segment: list[Placed]) -> bool:
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
