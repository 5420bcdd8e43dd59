"""Which structures of a segment a word of denial or doubt reaches.

A segment comes as the list of its tokens of :data:`.clauses.STRUCTURE`; structures are named by their index in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

from dermquery.data.reading.tokens import Placed

__all__ = [
    "TRANSPARENT",
    "denied",
    "denies_before",
    "denies_other",
    "doubted",
    "is_bare",
    "item_beyond",
    "last_of",
    "names_only",
    "post_denied",
    "unheard",
]

_JOINTS = ("and", "or")
_ABSENT = ("absent", "gone")
TRANSPARENT = ("quality", "no", "present", "doubt", "unknown")


def last_of(segment: Sequence[Placed], *kinds: str) -> int:
    """Index of the last token of one of the kinds; −1 without one."""
    return max((at for at, placed in enumerate(segment) if placed.kind in kinds), default=-1)


def names_only(segment: Sequence[Placed]) -> bool:
    """Whether a segment only names structures: nothing about how they look, or that they are not there."""
    return bool(segment) and all(p.kind in _JOINTS or (p.kind == "item" and not _values(p)) for p in segment)


def is_bare(at: int, segment: Sequence[Placed]) -> bool:
    """Whether a structure has neither a value of its own nor a quality right before it."""
    return not _values(segment[at]) and not (at and segment[at - 1].kind == "quality")


def denied(segment: Sequence[Placed], carried: bool, joined: str = "") -> set[int]:
    """Structures that the segment says are not there; ``carried`` if a denial before it goes on, ``joined`` by "or"."""
    denial = _Denial(segment, carried, joined)
    for at in range(len(segment)):
        denial.read(at)
    return denial.found


class _Denial:
    """Reads a segment from left to right: whether the next structure is denied, and whether it is the first to be."""

    def __init__(self, segment: Sequence[Placed], carried: bool, joined: str) -> None:
        self.found: set[int] = set()
        self._segment, self._carried, self._joined = segment, carried, joined
        self._denying, self._first, self._other = carried, False, False
        self._last_item = last_of(segment, "item")
        self._last = max(self._last_item, last_of(segment, "quality"))

    def read(self, at: int) -> None:
        segment, kind = self._segment, self._segment[at].kind
        if kind in _ABSENT or (kind == "no" and self._last <= at and not denies_other(at, segment)):
            self._absent(at)
        elif kind == "no" and not post_denied(at, segment):
            if segment[at].token.part == "nor" and at and segment[at - 1].kind == "item" and is_bare(at - 1, segment):
                self.found.add(at - 1)  # "veil nor streaks"
            self._denying = self._first = self._last_item > at
            self._other = False
        elif kind == "same":  # "the veil is absent, and so is the network"
            self._denying = self._first = self._carried or bool(self.found)
        elif kind in ("noun", "unknown"):
            self._other = self._first
        elif kind in _JOINTS:
            self._joined = kind
            self._first = self._first and not self._other  # "no cysts and typical network"
        elif kind == "present" and at and segment[at - 1].kind in _JOINTS:
            self._denying = False  # "absence of streaks and presence of a veil"
        elif kind == "item":
            self._item(at)

    def _absent(self, at: int) -> None:
        segment = self._segment
        # "globules and not visible veil" begins anew.
        begins = at > 0 and segment[at - 1].kind in _JOINTS and last_of(segment[at:], "item") > 0
        before = set() if begins else set(run_before(segment, at)) - self.found
        self.found |= before
        self._denying = not before and self._last_item > at
        self._first = self._denying or (bool(before) and self._first)

    def _item(self, at: int) -> None:
        after = [p.kind for p in self._segment[at + 1 : at + 3]]
        told = after[:1] == ["present"] or (after[:1] == ["quality"] and after[1:] != ["item"])
        goes_on = self._joined == "or" or (is_bare(at, self._segment) and not told)
        self._denying = self._denying and (self._first or goes_on)
        self._first = False
        if self._denying:
            self.found.add(at)


def unheard(segment: Sequence[Placed], denied_: set[int]) -> set[int]:
    """Structures that an unknown word makes doubtful: "veil b absent", "no foo vessels", "veil not foo"."""
    found: set[int] = set()
    for at, placed in enumerate(segment):
        if placed.token.part == "not" and denies_other(at, segment) and not (at and segment[at - 1].kind in _JOINTS):
            found |= _could_deny(at, segment, denied_)
        if placed.kind == "unknown":  # a judgement of the denial stands after it
            found |= ({at + 1} if placed.token.part else {at - 1, at + 1}) & denied_
        if placed.kind in (*_ABSENT, "no") and at and segment[at - 1].kind in ("unknown", "noun"):
            item = last_of(segment[:at], "item")
            between = all(p.kind in ("unknown", "noun", "present", "quality") for p in segment[item + 1 : at])
            if item >= 0 and between and last_of(segment[at:], "item") < 0:
                found.add(item)
    return found


def _could_deny(at: int, segment: Sequence[Placed], denied_: set[int]) -> set[int]:
    """The structure that "not" and an unknown verb could deny: the next one if it is denied, else the one before."""
    if segment[at + 1].kind != "unknown":
        return set()
    after = next((i for i in range(at + 1, len(segment)) if segment[i].kind == "item"), -1)
    return {after} & denied_ if after >= 0 else {last_of(segment[:at], "item")} - {-1}


def denies_other(at: int, segment: Sequence[Placed]) -> bool:
    """Whether "no" is said of something that is no criterion ("no suspicious features")."""
    return at + 1 < len(segment) and segment[at + 1].kind in ("noun", "unknown")


def denies_before(at: int, segment: Sequence[Placed]) -> bool:
    """Whether a word of absence is said of a structure before it ("veil not present in this lesion")."""
    return segment[at].kind in _ABSENT and bool(run_before(segment, at))


def run_before(segment: Sequence[Placed], end: int) -> list[int]:
    """The structures right before ``end``, joined by nothing but "and" and "or"; all but the last of them bare."""
    run: list[int] = []
    joined = True
    for at in range(end - 1, -1, -1):
        kind = segment[at].kind
        if kind == "item":
            if not joined or (run and not is_bare(at, segment)):
                break
            run.append(at)
            joined = False
        elif kind in _JOINTS:
            joined = True
        elif not (kind == "quality" and run == [at + 1]) and (run or kind not in ("quality", "present", "doubt")):
            break
    return run


def doubted(segment: Sequence[Placed], carried: bool) -> set[int]:
    """Structures that a word of doubt reaches: those after it, else those before it; both where it stands between."""
    found: set[int] = set()
    if carried:
        items = [at for at, placed in enumerate(segment) if placed.kind == "item"]
        found.update(takewhile(lambda at: is_bare(at, segment), items))
    for at, placed in enumerate(segment):
        if placed.kind != "doubt" or _doubts_other(at, segment):
            continue
        ahead = next(
            (i for i in range(at + 1, len(segment)) if segment[i].kind not in (*TRANSPARENT, "noun", *_ABSENT)), None
        )
        forward = ahead is not None and segment[ahead].kind == "item"
        if forward and ahead is not None:
            found.update(_run_after(segment, ahead))
        hiding = placed.token.part == "hiding"  # "a veil obscures it" is no doubt of the veil
        if (not forward and not hiding) or (at and segment[at - 1].kind not in _JOINTS and not placed.token.part):
            found.update(_doubted_before(segment, at))
    return found


def _doubts_other(at: int, segment: Sequence[Placed]) -> bool:
    """Whether a suspicion is of something that is no criterion ("atypical network suspicious for melanoma")."""
    beside = at + 1 < len(segment) and segment[at + 1].kind in ("unknown", "noun")
    return bool(segment[at].token.part) and beside and not item_beyond(at + 1, 1, segment)


def _run_after(segment: Sequence[Placed], at: int) -> Iterable[int]:
    yield at
    joined = ""
    for i in range(at + 1, len(segment)):
        kind = segment[i].kind
        if kind in _JOINTS:
            joined = kind
        elif kind == "item":
            if not joined or not (joined == "or" or is_bare(i, segment)):
                return
            yield i
            joined = ""
        elif kind != "quality":
            return


def _doubted_before(segment: Sequence[Placed], at: int) -> list[int]:
    """The nearest structure before a word of doubt, with those that it is joined to and shares its qualities with."""
    item = last_of(segment[:at], "item")
    if item < 0:
        return []
    if any(p.kind in _JOINTS for p in segment[item:at]) and not any(p.kind == "quality" for p in segment[item:at]):
        return [item]
    run = run_before(segment, item + 1)
    return run or [item]


def post_denied(at: int, segment: Sequence[Placed]) -> bool:
    """Whether the denial at ``at`` is of the quality after it, of a structure before it ("network not typical")."""
    item = last_of(segment[:at], "item")
    between = segment[item + 1 : at]
    after = next((i for i in range(at + 1, len(segment)) if segment[i].kind != "quality"), len(segment))
    beyond = segment[after].kind if after < len(segment) else ""
    told = all(p.kind in ("quality", "present", "no", *_JOINTS) for p in between)
    return item >= 0 and told and after > at + 1 and beyond != "item"


def item_beyond(at: int, step: int, segment: Sequence[Placed]) -> bool:
    """Whether nothing but unknown words and qualities stands between ``at`` and a structure in the direction."""
    while 0 <= at < len(segment) and segment[at].kind in ("unknown", "quality", "present"):
        at += step
    return 0 <= at < len(segment) and segment[at].kind == "item"


def _values(placed: Placed) -> frozenset[str]:
    return next(iter(placed.token.meanings.values()), frozenset())
