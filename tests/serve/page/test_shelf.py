"""Answers kept for their reports: for their owner, for a while."""

from __future__ import annotations

from typing import cast

import pytest

from dermquery.serve.page.shelf import Shelf
from dermquery.serve.service import Answer


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


ANSWER = cast("Answer", object())  # the shelf looks at none of it


def test_an_answer_is_its_owners(clock: Clock) -> None:
    shelf = Shelf(clock=clock)
    key = shelf.put("ann", ANSWER)
    assert shelf.get("ann", key) is ANSWER
    assert shelf.get("bob", key) is None
    assert shelf.get("ann", "another") is None


def test_an_answer_is_forgotten_half_an_hour_after_its_last_use(clock: Clock) -> None:
    shelf = Shelf(clock=clock)
    used, unused = shelf.put("ann", ANSWER), shelf.put("ann", ANSWER)
    clock.now = 1700
    assert shelf.get("ann", used) is ANSWER
    assert shelf.get("bob", unused) is None, "a stranger's try is no use of it"
    clock.now = 1801
    shelf.put("ann", ANSWER)
    assert unused not in shelf._answers, "its query's image must not stay in memory"
    assert shelf.get("ann", used) is ANSWER
    clock.now += 1801
    assert shelf.get("ann", used) is None


def test_of_many_answers_those_used_last_are_kept(clock: Clock) -> None:
    shelf = Shelf(most=3, clock=clock)
    keys = [shelf.put("ann", ANSWER) for _ in range(3)]
    shelf.get("ann", keys[0])
    shelf.put("ann", ANSWER)
    assert [shelf.get("ann", key) is not None for key in keys] == [True, False, True]
