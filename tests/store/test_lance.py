"""What the embedded store promises beyond the others: handles and processes that share a folder."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from dermquery.store import lance_index, quantised
from dermquery.store.lance import LanceStore, drop_table
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


def test_an_index_grows_with_the_table_and_goes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance_index, "INDEX_FROM", 2000)
    monkeypatch.setattr(lance_index, "_FRESH", 100)
    writer, reader = LanceStore(tmp_path, SIZE), LanceStore(tmp_path, SIZE)
    rows = random_rows(5000)

    def index() -> tuple[str, int]:
        (folder,) = (tmp_path / "index").iterdir()
        return folder.name, len(quantised.VectorIndex(folder).keys)

    writer.upsert(rows[:1999])
    writer.compact()
    assert not (tmp_path / "index").exists()
    writer.upsert(rows[1999:2000])
    writer.compact()
    assert index() == ("cases-1", 2000)
    reader.search(rows[0].vector)
    writer.upsert(rows[2000:2050])
    writer.compact()
    assert index() == ("cases-1", 2000)  # 50 rows are looked at beside it
    writer.upsert(rows[2050:3000])
    writer.compact()
    assert index() == ("cases-2", 3000)
    for r in (rows[7], rows[2049], rows[2999]):
        assert reader.search(r.vector, top_k=1)[0].row.case.case_id == r.case.case_id
    writer.upsert(rows[3000:])
    writer.compact()
    assert index() == ("cases-3", 5000)
    assert quantised.VectorIndex(tmp_path / "index" / "cases-3").shape.trained_on == 5000
    writer.delete([r.case.case_id for r in rows[:1500]])
    writer.compact()
    assert index() == ("cases-4", 3500)
    drop_table(tmp_path, "cases")
    assert list((tmp_path / "index").iterdir()) == []


def test_the_last_row_gone_gives_its_number_to_nobody(tmp_path: Path) -> None:
    store, rows = LanceStore(tmp_path, SIZE), random_rows(1500)
    store.upsert(rows)
    store.build_index()
    store.delete([rows[-1].case.case_id])
    again = LanceStore(tmp_path, SIZE)
    again.upsert([row("new", -rows[-1].vector)])
    assert again.search(-rows[-1].vector, top_k=1)[0].row.case.case_id == "new"


def test_an_index_that_is_half_written_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, rows = LanceStore(tmp_path, SIZE), random_rows(1200)
    store.upsert(rows)

    def dies(folder: Path, *_: object) -> None:
        (folder / "vectors.faiss").write_bytes(b"")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(lance_index, "write_index", dies)
        with pytest.raises(OSError, match="disk full"):
            store.build_index()
    assert list((tmp_path / "index").iterdir()) == []
    query = np.asarray(rows[3].vector)
    assert store.search(query, top_k=1)[0].row.case.case_id == "0003"


def test_without_faiss_every_search_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, rows = LanceStore(tmp_path, SIZE), random_rows(1200)
    store.upsert(rows)
    store.build_index()
    monkeypatch.setattr(lance_index, "faiss_is_there", lambda: False)
    assert LanceStore(tmp_path, SIZE).search(rows[3].vector, top_k=1)[0].row.case.case_id == "0003"
    with pytest.raises(ModuleNotFoundError, match="an index needs FAISS: pip install faiss-cpu"):
        store.build_index()
