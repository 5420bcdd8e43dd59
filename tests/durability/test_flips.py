"""A bit that flips on the disk is noticed, or changes no answer: two of each kind of file, ``make flips`` takes 400."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.durability.flips import answers_of, flipped, make_base


def test_a_flipped_bit_is_noticed_or_has_no_effect(tmp_path: Path) -> None:
    base = make_base(tmp_path)
    before = answers_of(base)
    results = list(flipped(base, 18, seed=1))
    assert [result for result in results if result.how == "unnoticed"] == []
    silent = [result for result in results if not result.checked and "checksums.txt" not in result.file]
    assert [result for result in silent if result.how != "without effect"] == []
    assert Counter(result.how for result in results)["warning"] > 2
    assert answers_of(base) == before, "every bit was turned back"
