"""Waiting lines, and queries that are kept."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.data.case import Query
from dermquery.data.findings import Findings
from dermquery.serve.line import Busy, Line
from dermquery.serve.prepared import ExpiredQueryError, Prepared, PreparedQueries
from dermquery.store.encoded import EncodedQuery
from tests.loops import run_alone


def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.002)
    pytest.fail("it did not happen in time")


def test_no_more_work_at_once_than_workers_and_no_more_wait_than_may() -> None:
    line, gate, lock = Line("test", 2, 3), threading.Event(), threading.Lock()
    at_work, most = 0, 0

    def work(number: int) -> int:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        gate.wait(10)
        with lock:
            at_work -= 1
        return number

    futures = [line.submit(work, number) for number in range(5)]
    with pytest.raises(Busy, match=r"too many requests wait for test \(5\); ask again in a moment"):
        line.submit(work, 5)
    assert len(line) == 5
    gate.set()
    assert [future.result() for future in futures] == [0, 1, 2, 3, 4]
    assert most == 2
    until(lambda: len(line) == 0)
    assert line.run(work, 7) == 7
    line.close()


def test_who_goes_away_frees_a_place() -> None:
    line, gate = Line("test", 1, 1), threading.Event()
    first, second = line.submit(gate.wait, 10), line.submit(str, "never")
    with pytest.raises(Busy):
        line.submit(str, "refused")
    assert second.cancel()
    third = line.submit(str, "in its place")
    gate.set()
    assert (first.result(), third.result()) == (True, "in its place")
    line.close()


def test_a_coroutine_that_is_cancelled_frees_its_place() -> None:
    line, gate = Line("test", 1, 1), threading.Event()
    ran: list[str] = []

    async def scenario() -> None:
        busy = asyncio.ensure_future(line.call(gate.wait, 10))
        waiting = asyncio.ensure_future(line.call(ran.append, "never"))
        await asyncio.sleep(0.01)
        with pytest.raises(Busy):
            await line.call(str, "refused")
        waiting.cancel()
        await asyncio.sleep(0.01)
        other = asyncio.ensure_future(line.call(ran.append, "other"))
        await asyncio.sleep(0.01)
        gate.set()
        await asyncio.gather(busy, other)

    run_alone(scenario())
    assert ran == ["other"]
    line.close()


def test_an_error_reaches_who_asked_and_frees_the_place() -> None:
    line = Line("test", 1, 0)
    for _ in range(3):
        until(lambda: len(line) == 0)
        with pytest.raises(ZeroDivisionError):
            line.run(lambda: 1 // 0)
    line.close()


def prepared(key: str, owner: str = "me") -> Prepared:
    return Prepared(key, owner, EncodedQuery(Query(text="no streaks"), Findings({}), np.zeros(2, np.float32)))


def test_a_query_is_for_its_owner_and_for_a_while() -> None:
    now = 0.0
    queries = PreparedQueries(3, 60, clock=lambda: now)
    kept = queries.put(prepared("a"))
    assert queries.get("me", "a") is kept
    with pytest.raises(ExpiredQueryError, match=r"^this search is not kept any more .* send the query again$"):
        queries.get("you", "a")
    now = 59
    assert queries.get("me", "a") is kept
    now = 118
    assert queries.get("me", "a") is kept, "the time is counted from the last use"
    now = 179
    with pytest.raises(ExpiredQueryError):
        queries.get("me", "a")
    assert len(queries) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=40))
def test_the_queries_used_last_are_kept(steps: list[tuple[bool, int]]) -> None:
    queries, expected = PreparedQueries(3), list[str]()
    for put, number in steps:
        key = str(number)
        if put:
            queries.put(prepared(key))
        elif key in expected:
            assert queries.get("me", key).key == key
        else:
            with pytest.raises(ExpiredQueryError):
                queries.get("me", key)
            continue
        expected = [*(known for known in expected if known != key), key][-3:]
    assert len(queries) == len(expected) <= 3
