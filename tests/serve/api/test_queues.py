"""Waiting lines, and queries that are kept."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.data.case import Query
from dermquery.data.findings import Findings
from dermquery.serve.line import Busy, Line, asking, who_asks
from dermquery.serve.prepared import ExpiredQueryError, Prepared, PreparedQueries
from dermquery.store.encoded import EncodedQuery
from tests.loops import run_alone
from tests.waiting import until


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


def held(line: Line, gate: threading.Event, owner: str, calls: int, done: list[str]) -> list[Future[None]]:
    """Calls that wait for a gate and then say whose they are."""

    def work() -> None:
        gate.wait(10)
        done.append(owner)

    with asking(owner):
        return [line.submit(work) for _ in range(calls)]


def test_one_who_asks_much_has_never_every_worker() -> None:
    line, gate = Line("test", 3, 20), threading.Event()
    done: list[str] = []
    greedy = held(line, gate, "greedy", 10, done)
    with asking("other"):
        assert line.submit(str, "at once").result(5) == "at once"
    assert line._running == {"greedy": 2}
    gate.set()
    for future in greedy:
        future.result(5)
    line.close()
    assert done == ["greedy"] * 10


def test_each_has_a_turn_after_everybody_else() -> None:
    line, first, gate = Line("test", 1, 20), threading.Event(), threading.Event()
    done: list[str] = []
    held(line, first, "", 1, done)
    gate.set()
    for owner, calls in (("a", 4), ("b", 2), ("c", 1)):
        held(line, gate, owner, calls, done)
    first.set()
    until(lambda: len(line) == 0)
    assert done == ["", "a", "b", "c", "a", "b", "a", "a"]
    line.close()


def test_a_full_line_makes_room_for_who_holds_less() -> None:
    line, gate = Line("test", 2, 4), threading.Event()
    done: list[str] = []
    greedy = held(line, gate, "greedy", 6, done)
    other = held(line, gate, "other", 3, done)
    sent_away = [future for future in greedy if future.done()]
    assert sent_away == greedy[3:]
    for future in sent_away:
        with pytest.raises(Busy, match="too many requests wait for test"):
            future.result()
    with pytest.raises(Busy):
        held(line, gate, "greedy", 1, done)
    with pytest.raises(Busy):
        held(line, gate, "other", 1, done)
    third = held(line, gate, "third", 1, done)
    assert greedy[2].done() or other[2].done()
    gate.set()
    third[0].result(5)
    until(lambda: len(line) == 0)
    line.close()


def test_work_counts_for_who_asked_wherever_it_runs() -> None:
    outer, inner = Line("outer", 2, 4), Line("inner", 2, 4)
    with asking("ann"):
        assert outer.submit(inner.run, who_asks).result(5) == "ann"
    assert outer.run(who_asks) == ""
    outer.close()
    inner.close()


def test_how_long_somebody_waits_for_a_first_place() -> None:
    line, gate = Line("test", 2, 4), threading.Event()
    done: list[str] = []
    held(line, gate, "greedy", 3, done)
    time.sleep(0.05)
    assert line.waited() == 0, "who has a place waits for no first one"
    held(line, gate, "second", 1, done)
    held(line, gate, "third", 1, done)
    time.sleep(0.05)
    assert 0.05 <= line.waited() < 5
    gate.set()
    until(lambda: len(line) == 0)
    assert line.waited() == 0
    line.close()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30), st.integers(1, 3), st.integers(0, 5))
def test_no_call_is_lost_whoever_asks_and_goes_away(steps: list[tuple[str, bool]], workers: int, waiting: int) -> None:
    line, gate, ran = Line("test", workers, waiting), threading.Event(), list[int]()
    futures: dict[int, Future[None]] = {}

    def work(number: int) -> None:
        gate.wait(10)
        ran.append(number)

    for number, (owner, goes) in enumerate(steps):
        with asking(owner):
            try:
                futures[number] = line.submit(work, number)
            except Busy:
                continue
        assert len(line) <= workers + waiting
        if goes:
            futures[number].cancel()
    gate.set()
    line_done = [number for number, future in futures.items() if not future.cancelled() and _ended_well(future)]
    assert sorted(ran) == line_done
    until(lambda: len(line) == 0)
    line.close()


def _ended_well(future: Future[None]) -> bool:
    return not isinstance(future.exception(10), Busy)
