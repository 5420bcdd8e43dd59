"""Hand-written texts with their readings: what was reached stays reached, and docs/search.md quotes the figures."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.data.judged import HERE, judge, read_texts

REACHED = {
    "texts.csv": (302, 2),
    "texts_held_out.csv": (104, 4),
    "texts_languages.csv": (240, 0),
    "texts_places.csv": (16, 0),
    "texts_walked.csv": (307, 0),
}
"""Texts of each table, and readings that are missed; a missed one is reported, and none is wrong."""


@pytest.mark.parametrize("name", REACHED)
def test_nothing_is_read_wrongly_or_passed_over(name: str) -> None:
    texts = read_texts(HERE / name)
    n_texts, n_missed = REACHED[name]
    assert len(texts) == n_texts
    judged = [one for text in texts for one in judge(text)]
    counts = Counter(one.verdict for one in judged)
    assert (counts["wrong"], counts["unreported"]) == (0, 0)
    assert counts["missed"] <= n_missed
    assert all(one.got for one in judged if one.verdict == "missed"), "a value that is missed is asked for"
