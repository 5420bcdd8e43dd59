"""Cut the tokens of a text into clauses and segments: how far a word reaches, and what stands in which time and view.

A clause ends at a full stop, a semicolon, the end of a line or "but"; a segment at a comma or "with". Words of denial
and doubt that say one thing together ("not excluded", "no definite") are brought together here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, takewhile

from dermquery.data.reading.lexicon import Kind, Language, Token
from dermquery.data.reading.tokens import Placed

__all__ = ["STRUCTURE", "Clause", "Segment", "clauses_of"]

STRUCTURE = frozenset(
    ("item", "quality", "no", "absent", "gone", "present", "doubt", "same", "and", "or", "noun", "unknown")
)
"""Kinds of tokens that decide what a segment says."""
_OPENING = frozenset(("no", "and", "or", "doubt", "is", "past", "other", "with", "comma"))
_PLACED = ("item", "no", "absent", "gone", "present")
"""Kinds whose place may follow; a quality before it can be the place's own ("irregular in outline")."""
_SAYS_NOTHING = frozenset(("irrelevant", "sure", "line", "dot"))
_YEAR = re.compile(r"(19|20)\d\d")
_DATE = re.compile(r"(\d+[.,:])*(19|20)\d\d")
_IN_DATES = frozenset(("number", "and", "irrelevant", "line"))


@dataclass
class Segment:
    """What stands between two commas.

    Attributes:
        tokens: those of it.
        joint: what stands before it: ``comma``, ``with``, ``box``, ``tick``, or ``now`` where time or view change.
        past, other: whether it is of another time, or somebody else's view.
        fresh: whether it says that it is of now or the writer's own.
    """

    tokens: list[Placed]
    joint: str = ""
    past: bool = False
    other: bool = False
    fresh: bool = False

    @property
    def structure(self) -> list[Placed]:
        """The tokens that decide what it says."""
        return _one_name(_without_places(self.tokens))

    def has(self, *kinds: Kind) -> bool:
        """Whether any token is of one of the kinds."""
        return any(placed.kind in kinds for placed in self.tokens)


def _without_places(tokens: Sequence[Placed]) -> list[Placed]:
    """The tokens of :data:`STRUCTURE` without the place of a finding or of a denial ("not present in this lesion")."""
    found: list[Placed] = []
    leads = False
    for placed in tokens:
        if placed.kind not in STRUCTURE:
            leads = leads or placed.token.part == "place"
            continue
        if not (leads and placed.kind == "noun" and (not found or found[-1].kind in _PLACED)):
            found.append(placed)
        leads = False
    return found


def _one_name(structure: list[Placed]) -> list[Placed]:
    """With one token for two names of a criterion beside each other, one with a value ("regression: white areas")."""
    found: list[Placed] = []
    for placed in structure:
        before = found[-1] if found else placed
        if (
            placed is not before
            and before.kind == placed.kind == "item"
            and before.token.meanings.keys() == placed.token.meanings.keys()
        ):
            of_both = [p for p in (before, placed) if any(p.token.meanings.values())]
            if len(of_both) == 1:
                found[-1] = of_both[0]._replace(
                    start=before.start, end=placed.end, first=before.first, last=placed.last
                )
                continue
        found.append(placed)
    return found


@dataclass
class Clause:
    """A clause: its tokens, what stands before it (``but``, ``line``, ``stop``, ``ask``), and whether it is asked."""

    tokens: list[Placed]
    joint: str = ""
    asked: bool = False
    segments: list[Segment] = field(default_factory=list)


def clauses_of(tokens: Sequence[Placed], language: Language) -> list[Clause]:
    """The clauses of a text with their segments."""
    clauses = list(_clauses(tokens, language))
    for clause in clauses:
        clause.tokens = _regression_or_vessels(_together(clause.tokens, language))
    # A date alone may be that of the report; beside a finding of now it is another one.
    contrasted = any({"item", "quality"} & kinds for clause in clauses if "now" in (kinds := _kinds(clause)))
    dated = False
    for clause in clauses:
        dated = contrasted and "now" not in _kinds(clause) and (dated or _is_dated(clause.tokens, language))
        clause.segments = _segments(clause.tokens, language, past=dated)
    return clauses


def _kinds(clause: Clause) -> set[Kind]:
    return {placed.kind for placed in clause.tokens}


def _is_dated(tokens: Sequence[Placed], language: Language) -> bool:
    """Whether a date heads what a clause says ("April 2023: typical network")."""
    head: list[Placed] = []
    for placed in tokens:
        if placed.kind != "is":
            head.append(placed)
            continue
        months = [p for p in head if language.month.intersection(p.stems)]
        date = bool(months) or any(_DATE.fullmatch(stem) for p in head for stem in p.stems)
        if date and all(p in months or p.kind in _IN_DATES for p in head):
            return True
        head = []
    return False


def _clauses(tokens: Sequence[Placed], language: Language) -> Iterator[Clause]:
    clause = Clause([])
    for at, placed in enumerate(tokens):
        after = tokens[at + 1 :] if placed.kind in ("line", "dot") or placed.stems == ("-",) else ()
        if _ends(placed, clause.tokens, after):
            clause.asked = placed.kind == "ask"
            yield clause
            clause = Clause([], placed.kind)
        elif not _is_dash(placed, after):
            clause.tokens.append(placed)
    yield clause


def _ends(placed: Placed, before: Sequence[Placed], after: Sequence[Placed]) -> bool:
    """Whether a token ends the clause of those ``before``."""
    if placed.kind in ("stop", "ask", "but"):
        return True
    if placed.kind not in ("line", "dot"):
        return False
    if after and after[0].kind in ("box", "tick"):
        return True
    described = placed.kind == "dot" and bool(after) and after[0].kind in ("item", "quality")  # "network, irreg. dots"
    return not _is_open(before, described) and (
        placed.kind == "line" or not after or after[0].start - placed.end != 1 or _is_new(after[0])
    )


def _is_new(placed: Placed) -> bool:
    return placed.kind not in ("and", "or", "quality", "absent", "present", "no")


def _is_open(before: Sequence[Placed], described: bool) -> bool:
    """Whether what was written so far asks for more: "no", "and", or a quality whose structure is still to come."""
    start = max((at for at, p in enumerate(before) if p.kind in ("comma", "with")), default=-1)
    segment = [p for p in before[start + 1 :] if p.kind not in _SAYS_NOTHING]
    kinds = [p.kind for p in segment]
    if not kinds or (
        kinds[-1] in _OPENING and not (kinds[-1] in ("no", "doubt") and kinds[-2:-1] != ["and"] and "item" in kinds)
    ):
        return True
    if "item" in kinds or "quality" not in kinds:
        return False
    earlier = [p for p in before[: max(start, 0)] if p.kind in STRUCTURE]
    return described or not (earlier and earlier[-1].kind == "item")  # "streaks, irregular" is complete


def _is_dash(placed: Placed, after: Sequence[Placed]) -> bool:
    """Whether a minus at the end of a line is the dash before what the next line says of the same structure."""
    if placed.stems != ("-",) or not after or after[0].kind != "line":
        return False
    line = list(takewhile(lambda p: p.kind not in ("line", "stop", "ask"), after[1:]))
    return any(p.kind in ("quality", "absent", "present") for p in line) and not any(p.kind == "item" for p in line)


def _together(tokens: list[Placed], language: Language) -> list[Placed]:
    """Join pairs of words that say one thing: "not absent", "not seen", "no definite", "since last year"."""
    found: list[Placed] = []
    for placed in tokens:
        at = next((i for i in range(len(found) - 1, -1, -1) if found[i].kind not in _SAYS_NOTHING - {"sure"}), -1)
        kind = _pair(found[at].kind, placed, language) if at >= 0 else None
        if kind is None:
            found.append(placed)
            continue
        before = found[at]
        joined = (*before.stems, *placed.stems)
        found[at:] = [Placed(Token(kind), before.start, placed.end, before.first, placed.last, joined)]
    return found


def _pair(before: Kind, placed: Placed, language: Language) -> Kind | None:
    """What two words of these kinds say together; None if each says its own."""
    kind = placed.kind
    if before == "since" and (kind == "past" or (kind == "number" and _YEAR.fullmatch(placed.stems[0]))):
        return "irrelevant"
    if before == "self" and kind == "other":
        return "other"  # "my registrar"
    if before == "no":
        together: dict[Kind, Kind] = {
            "absent": "present",
            "gone": "present",
            "present": "absent",
            "sure": "doubt",
            "doubt": "doubt",
        }
        together["no"] = "present" if language.denial_cancels else "no"
        return together.get(kind)
    if before == "gone" and kind in ("present", "gone"):
        return "gone"
    if before == "absent" and kind == "no" and not language.denial_cancels:
        return "absent"
    if before == "sure" and kind == "sure":
        return "sure"
    return None


def _regression_or_vessels(tokens: list[Placed]) -> list[Placed]:
    """Read "in regression" as said of vessels where a clause names some, else as the name of regression."""
    vessels, regression = "vascular_structures", Token("item", {"regression_structures": frozenset()})
    if any(p.kind == "item" and vessels in p.token.meanings for p in tokens):
        return tokens
    within = frozenset(("within regression",))
    return [
        p._replace(token=regression) if p.token.meanings.get(vessels) == within and p.kind == "quality" else p
        for p in tokens
    ]


def _segments(tokens: list[Placed], language: Language, *, past: bool) -> list[Segment]:
    """The segments of a clause; ``past`` if it is of another time unless it says else."""
    pieces = _boxed(tokens) if any(p.kind in ("box", "tick") for p in tokens) else _pieces(tokens)
    segments = [Segment(piece, joint) for joint, piece in pieces]
    other = named = False
    for segment in segments:
        segment.fresh = segment.has("now", "self", "gone")
        if segment.joint == "now":
            past = other = False
        here = _is_past(segment, language)
        segment.past, segment.other = past or here, other or segment.has("other")
        first = [p.kind for p in segment.tokens if p.kind in ("past", "item", "number")]
        past = past or (here and not named and first[:1] != ["item"])
        other, named = segment.other, named or segment.has("item")
    return segments


def _is_past(segment: Segment, language: Language) -> bool:
    if segment.has("past"):
        return True
    stems = [stem for p in segment.tokens for stem in p.stems]
    years = [at for at, stem in enumerate(stems) if _YEAR.fullmatch(stem) or stem in language.month]
    return any((at > 0 and stems[at - 1] in language.year) or language.was.intersection(stems) for at in years)


def _pieces(tokens: list[Placed]) -> list[tuple[str, list[Placed]]]:
    """Cut at commas and "with", and where the text turns from then to now or from others to the writer."""
    found: list[tuple[str, list[Placed]]] = [("", [])]
    elsewhere = False
    for placed in tokens:
        if placed.kind in ("comma", "with"):
            found.append((placed.kind, []))
        elif placed.kind in ("now", "self", "gone") and elsewhere:
            found.append(("now", [placed]))
            elsewhere = False
        else:
            elsewhere = elsewhere or placed.kind in ("past", "other", "number")
            found[-1][1].append(placed)
    _turn(found)
    return [(joint, piece) for joint, piece in found if piece]


def _turn(pieces: list[tuple[str, list[Placed]]]) -> None:
    """Give "now" the denial before it where nothing follows it ("the streaks of last year are absent today")."""
    for (_, before), (joint, piece) in pairwise(pieces):
        if joint == "now" and not any(p.kind in STRUCTURE for p in piece):
            while before and before[-1].kind in ("absent", "present", "irrelevant"):
                piece.insert(0, before.pop())


def _boxed(tokens: list[Placed]) -> list[tuple[str, list[Placed]]]:
    """Cut at boxes; a box belongs to what follows it, or to what it follows where the last one ends the clause."""
    kinds = [p.kind for p in tokens if p.kind not in _SAYS_NOTHING]
    found: list[tuple[str, list[Placed]]] = []
    if kinds[-1] in ("box", "tick"):
        piece: list[Placed] = []
        for placed in tokens:
            if placed.kind in ("box", "tick"):
                found.append((placed.kind, piece))
                piece = []
            elif placed.kind == "is":
                found.append(("", piece))
                piece = []
            else:
                piece.append(placed)
        return [(joint, piece) for joint, piece in found if piece]
    found = [("", [])]
    for placed in tokens:
        if placed.kind in ("box", "tick"):
            found.append((placed.kind, []))
        elif placed.kind == "comma":
            found.append(("listed" if found[-1][0] in ("box", "listed") else "comma", []))
        else:
            found[-1][1].append(placed)
    return [(_of_box(piece) if joint == "listed" else joint, piece) for joint, piece in found if piece]


def _of_box(piece: list[Placed]) -> str:
    """What stands before a further piece of a box's list: the box, unless it says of itself that it is there."""
    return "comma" if any(placed.kind == "present" for placed in piece) else "box"
