"""Hierarchies as the page offers them."""

from __future__ import annotations

from collections import Counter

from dermquery.data.vocabulary.trees import below
from dermquery.serve.web.facets import _places

SITES: Counter[str | float | None] = Counter(
    {"back": 5, "chest": 2, "abdomen": 3, "posterior torso": 1, "hand": 4, "tail": 1, None: 7}
)


def test_places_stand_above_what_is_below_them_and_count_it() -> None:
    left: dict[str | float | None, int] = {"back": 1, "hand": 4}
    assert _places("site", SITES, left) == [
        ("trunk", 1, 0), ("back", 1, 1), ("anterior trunk", 0, 1), ("abdomen", 0, 2), ("chest", 0, 2), ("hand", 4, 0),
        ("tail", 0, 0),
    ]  # fmt: skip


def test_a_places_count_is_what_asking_for_it_finds() -> None:
    for place, count, _ in _places("site", SITES, SITES):
        assert count == sum(
            n for value, n in SITES.items() if isinstance(value, str) and below("site", [place]).holds(value)
        )
