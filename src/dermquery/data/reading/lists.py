"""How far a denial or a doubt reaches over the commas of a list ("no veil, streaks or dots")."""

from __future__ import annotations

from collections.abc import Sequence

from dermquery.data.reading.clauses import Segment
from dermquery.data.reading.scope import is_bare, names_only
from dermquery.data.reading.tokens import Placed

__all__ = ["begins_absent", "begins_bare", "ending_of", "or_ahead"]


def begins_bare(structure: Sequence[Placed], later: Sequence[Segment]) -> bool:
    """Whether a segment begins with a structure of which nothing is said, as a further one of a list."""
    kinds = [p.kind for p in structure[:2]]
    told = later[0].structure if len(structure) == 1 and later and not later[0].has("item") else []
    described = any(structure[0].token.meanings.keys() & p.token.meanings.keys() for p in told)
    goes_on = kinds[1:] in ([], ["and"], ["or"]) or [p.kind for p in structure[1:3]] == [
        "no",
        "item",
    ]  # "velo ni vasos"
    return kinds[0] == "item" and is_bare(0, structure) and goes_on and not described


def or_ahead(segments: Sequence[Segment]) -> str:
    """Say "or" if that joins this segment or the last one of its list ("no veil, irregular dots or streaks")."""
    for at, segment in enumerate(segments):
        if (at and segment.joint != "comma") or segment.has("no", "absent", "gone", "doubt"):
            return ""
        if segment.has("or") and segment.has("item"):
            return "or"
    return ""


def begins_absent(structure: Sequence[Placed]) -> bool:
    """Whether a list is headed by a word of absence ("absent: network, streaks")."""
    first = next((at for at, p in enumerate(structure) if p.kind == "item"), 0)
    return any(p.kind == "absent" for p in structure[:first])


def ending_of(segments: Sequence[Segment]) -> str:
    """What a list of structures says at its end: ``absent``, ``doubt`` or nothing ("streaks and veil, dots absent")."""
    for segment in segments:
        structure = segment.structure
        if segment.joint != "comma":
            return ""
        if names_only(structure) and not segment.has("noun"):
            continue
        kinds = [p.kind for p in structure]
        for kind, name in (("absent", "absent"), ("gone", "absent"), ("doubt", "doubt")):
            if kind in kinds and kinds[0] in ("item", "and", "or") and names_only(structure[: kinds.index(kind)]):
                return name
        return ""
    return ""
