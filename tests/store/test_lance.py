"""What the embedded store promises beyond the others: handles and processes that share a folder."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from dermquery.store.lance import LanceStore
from tests.store.rows import SIZE, random_rows, row


def test_a_reader_sees_what_another_handle_wrote(tmp_path: Path) -> None:
    reader, writer = LanceStore(tmp_path, SIZE), LanceStore(tmp_path, SIZE)
    assert reader.count() == 0
    writer.upsert([row("a")])
    assert reader.ids() == ["a"]


def _write_all(folder: Path, n: int, barrier: object) -> None:
    store = LanceStore(folder, SIZE)
    barrier.wait()  # type: ignore[attr-defined]
    for start in range(0, n, 4):
        store.upsert(random_rows(n)[start : start + 4])


@pytest.mark.slow
def test_two_processes_that_write_the_same_cases_make_no_duplicates(tmp_path: Path) -> None:
    LanceStore(tmp_path, SIZE)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    writers = [context.Process(target=_write_all, args=(tmp_path, 120, barrier)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    store = LanceStore(tmp_path, SIZE)
    assert store.count() == 120
    assert len(set(store.ids())) == 120
