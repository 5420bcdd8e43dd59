"""Which structure of a segment a quality describes; structures and qualities are named by their index in it."""

from __future__ import annotations

from collections.abc import Sequence

from dermquery.data.checklist import CRITERIA
from dermquery.data.reading.scope import TRANSPARENT, item_beyond
from dermquery.data.reading.tokens import Placed

__all__ = ["consumed", "owned"]


def consumed(segment: Sequence[Placed], adjectives_first: bool) -> set[int]:
    """Qualities of things that are no criterion ("irregular border"), or of something unknown."""
    found: set[int] = set()
    for at, placed in enumerate(segment):
        if placed.kind != "quality":
            continue
        step = 1 if adjectives_first else -1
        beside = at + step
        while 0 <= beside < len(segment) and segment[beside].kind in ("quality", "and"):
            beside += step
        if not 0 <= beside < len(segment):
            continue
        other = at - step
        near = 0 <= other < len(segment) and segment[other].kind == "item"
        kind = segment[beside].kind
        if not near and (kind == "noun" or (kind == "unknown" and not item_beyond(beside, step, segment))):
            found.add(at)
    return found


def owned(segment: Sequence[Placed], taken: set[int]) -> dict[int, list[int]]:
    """For each structure the qualities that describe it; ``taken`` are those of something else."""
    found: dict[int, list[int]] = {at: [] for at, p in enumerate(segment) if p.kind == "item"}
    owners = {at: _owner(at, segment, taken) for at, p in enumerate(segment) if p.kind == "quality" and at not in taken}
    for at, owner in owners.items():
        if owner is not None and _describes(segment[at], segment[owner]):
            found[owner].append(at)
    for item, own in found.items():
        own += _borrowed(item, own, owners, segment)
    return found


def _borrowed(item: int, own: list[int], owners: dict[int, int | None], segment: Sequence[Placed]) -> list[int]:
    """Qualities of joined structures that describe this one too, where it is not described yet: the nearest."""
    ((name, given),) = segment[item].token.meanings.items()
    left = given or frozenset(CRITERIA[name].values)
    for at in own:
        left &= segment[at].token.meanings[name]
    if len(left) == 1 or (own and not left):
        return []
    fitting = [at for at, owner in owners.items() if owner != item and _describes(segment[at], segment[item])]
    fitting = [
        at for at in fitting if left & segment[at].token.meanings[name] and _may_borrow(item, at, owners[at], segment)
    ]
    found: list[int] = []
    for at in sorted(fitting, key=lambda at: abs(at - item)):
        narrowed = left & segment[at].token.meanings[name]
        if narrowed and narrowed != left and (not found or len(left) > 1):
            found.append(at)
            left = narrowed
    return found


def _describes(quality: Placed, item: Placed) -> bool:
    return any(name in quality.token.meanings for name in item.token.meanings)


def _owner(place: int, segment: Sequence[Placed], taken: set[int]) -> int | None:
    """Index of the structure that a quality stands beside; between them may only be qualities, if need be joined ones.

    Between two structures it belongs to the one before if the segment begins with a structure, else to the one after.
    """
    before, after = _beside(place, segment, TRANSPARENT)
    if before is None and after is None:
        before, after = _beside(place, segment, (*TRANSPARENT, "and"))
    if before is None or after is None:
        return after if before is None else before
    first = next(p.kind for at, p in enumerate(segment) if p.kind in ("item", "quality", "no") and at not in taken)
    return before if first == "item" else after


def _beside(place: int, segment: Sequence[Placed], between: tuple[str, ...]) -> list[int | None]:
    """The nearest structure before and after, each None if anything but ``between`` stands in the way."""
    sides: list[int | None] = []
    for step in (-1, 1):
        at = place + step
        while 0 <= at < len(segment) and segment[at].kind in between:
            at += step
        sides.append(at if 0 <= at < len(segment) and segment[at].kind == "item" else None)
    return sides


def _may_borrow(item: int, place: int, owner: int | None, segment: Sequence[Placed]) -> bool:
    """Whether a quality reaches past its owner to a joined structure ("irregular streaks and globules")."""
    if owner is not None and (owner > place) != (item > place):
        return False
    low, high = sorted((item, place))
    joined = all(p.kind in ("and", "or", "item", "quality", "present") for p in segment[low + 1 : high])
    # A second quality between has the farther structure for itself, unless both describe the same one.
    last = place if owner is None else owner
    crossed = segment[min(item, last) + 1 : max(item, last)]
    touching = all(b.first == a.last for a, b in zip(segment[low:high], segment[low + 1 : high + 1], strict=True))
    return joined and touching and not any(p.kind == "quality" for p in crossed)
