"""What the embedded store promises beyond the others: handles and processes that share a folder."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dermquery.store.base_manifest import ManifestError
from dermquery.store.casebase import CaseBase
from dermquery.store.lance import lance_store, quantised, vector_index
from dermquery.store.lance.lance_store import LanceStore, drop_table
from dermquery.store.lance.lance_table import tables
from dermquery.store.migrate import tidy
from dermquery.store.protocol import StoredCase
from dermquery.store.where import parse_where
from tests.store.encoder import ProjectionEncoder
from tests.store.rows import SIZE, brute_force, random_rows, row


def test_a_reader_sees_what_another_handle_wrote(tmp_path: Path) -> None:
    reader, writer = LanceStore(tmp_path, SIZE), LanceStore(tmp_path, SIZE)
    assert reader.count() == 0
    writer.upsert([row("a")])
    assert reader.ids() == ["a"]


def test_a_table_from_before_a_field_is_searched_and_gets_its_column_with_a_write(tmp_path: Path) -> None:
    rows = random_rows(1200)
    old = LanceStore(tmp_path, SIZE)
    old.upsert(rows)
    old.build_index()
    old._table._dataset.drop_columns(["site", "streaks"])  # as if they had been declared since
    reader, writer = LanceStore(tmp_path, SIZE), LanceStore(tmp_path, SIZE)
    query = rows[3].vector
    for indexed in (True, False):
        asked = ["site=missing", "site!=back", "streaks=missing"]
        hits = reader.search(query, parse_where(asked), exact=not indexed)
        assert [hit.row.case.case_id for hit in hits] == brute_force(rows, query, 5)
        assert reader.search(query, parse_where(["site=back"]), exact=not indexed) == []
    assert reader.count(parse_where(["site=back,chest"])) == 0
    assert reader.value_counts("site") == {None: 1200}
    assert reader.value_counts("site", parse_where(["site=back"])) == {}
    assert len(reader.page(parse_where(["streaks!=absent"]), limit=1300)) == 1200
    assert reader.build_index() == 1200

    writer.upsert([row("new", query, site="back", checklist={"streaks": "absent"})])
    assert reader.value_counts("site") == {None: 1200, "back": 1}
    assert [hit.row.case.case_id for hit in reader.search(query, parse_where(["site=back"]))] == ["new"]
    assert reader.count(parse_where(["streaks=missing"])) == 1200
    assert writer.get(["new", "0001"]).keys() == {"new", "0001"}
    assert writer.build_index() == 1201


def _indexed(folder: Path, n: int = 1200) -> tuple[LanceStore, list[StoredCase]]:
    """A store with an index of all its rows."""
    store, rows = LanceStore(folder, SIZE), random_rows(n)
    store.upsert(rows)
    store.build_index()
    return store, rows


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
    monkeypatch.setattr(vector_index, "INDEX_FROM", 2000)
    monkeypatch.setattr(vector_index, "_FRESH", 100)
    writer, reader = LanceStore(tmp_path, SIZE), LanceStore(tmp_path, SIZE)
    rows = random_rows(5000)

    def index() -> tuple[str, int]:
        (folder,) = (tmp_path / "index").iterdir()
        return folder.name, len(quantised.VectorIndex(folder).keys)

    writer.upsert(rows[:1999])
    writer.compact()
    writer.warm()  # without an index there is nothing to do
    assert not (tmp_path / "index").exists()
    writer.upsert(rows[1999:2000])
    writer.compact()
    assert index() == ("cases-1", 2000)
    reader.warm()
    assert reader._index._seen is not None, "the first search does not wait until the index is open"
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
    store, rows = _indexed(tmp_path, 1500)
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
        patch.setattr(vector_index, "write_index", dies)
        with pytest.raises(OSError, match="disk full"):
            store.build_index()
    assert list((tmp_path / "index").iterdir()) == []
    query = np.asarray(rows[3].vector)
    assert store.search(query, top_k=1)[0].row.case.case_id == "0003"


@pytest.mark.parametrize("name", ["vectors.faiss", "keys.npy", "index.json", "rows-000000.arrow"])
@pytest.mark.parametrize("damage", ["cut", "absent", "another", "one bit"])
def test_a_damaged_index_costs_time_and_no_case(tmp_path: Path, name: str, damage: str) -> None:
    _, rows = _indexed(tmp_path)
    path = tmp_path / "index" / "cases-1" / name
    if damage == "absent":
        path.unlink()
    elif damage == "one bit" and name not in ("keys.npy", "index.json"):
        pytest.skip(
            "a vector that is a little another one is at most not proposed, and rows are no worse than a table's"
        )
    else:
        content = path.read_bytes()
        changed = bytes([content[-2] ^ 1])  # the last key's second highest byte, or a digit of the digest
        damaged = {
            "cut": content[: len(content) // 2],
            "another": b"{}",
            "one bit": content[:-2] + changed + content[-1:],
        }
        path.write_bytes(damaged[damage])
    again = LanceStore(tmp_path, SIZE)
    with pytest.warns(RuntimeWarning, match=r"cases-1 cannot be used .*dermquery base index") as said:
        found = [again.search(r.vector, top_k=1)[0].row.case.case_id for r in rows[3:5]]
    assert found == ["0003", "0004"]
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        again.upsert([row("new", -rows[5].vector)])
    assert again.search(-rows[5].vector, top_k=1)[0].row.case.case_id == "new"
    serials = again._table.now().read(["serial"])["serial"].to_pylist()
    assert len(set(serials)) == len(serials) == 1201
    again.compact()
    (folder,) = (tmp_path / "index").iterdir()
    assert len(quantised.VectorIndex(folder).keys) == 1201
    assert again._index._view() is not None


def test_an_index_that_could_not_be_opened_for_a_moment_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, rows = _indexed(tmp_path)
    again = LanceStore(tmp_path, SIZE)

    def failing(_: Path) -> quantised.VectorIndex:
        raise OSError("the network drive does not answer")

    monkeypatch.setattr(vector_index, "VectorIndex", failing)
    with pytest.warns(RuntimeWarning, match="cases-1 cannot be used .the network"):
        assert again.search(rows[3].vector, top_k=1)[0].row.case.case_id == "0003"
    monkeypatch.setattr(vector_index, "VectorIndex", quantised.VectorIndex)
    assert again._index._view() is None
    monkeypatch.setattr(vector_index, "_AGAIN", 0.0)
    assert again._index._view() is not None


def test_threads_that_search_after_a_write_look_at_the_table_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, rows = _indexed(tmp_path)
    seen_by, looks = vector_index.TableIndex._seen_by, []

    def slow(*arguments: object) -> object:
        looks.append(1)
        time.sleep(0.2)
        return seen_by(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(vector_index.TableIndex, "_seen_by", slow)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda r: store.search(r.vector, top_k=1)[0].row.case.case_id, rows[:4]))
    assert found == ["0000", "0001", "0002", "0003"]
    assert len(looks) == 1


def test_an_index_that_is_replaced_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, rows = _indexed(tmp_path)
    opened: list[str] = []

    def slow(folder: Path) -> quantised.VectorIndex:
        opened.append(folder.name)
        if len(opened) == 1:
            store.build_index()
        return quantised.VectorIndex(folder)

    reader = LanceStore(tmp_path, SIZE)
    monkeypatch.setattr(vector_index, "VectorIndex", slow)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reader.search(rows[3].vector, top_k=1)[0].row.case.case_id == "0003"
    assert opened == ["cases-1", "cases-2"]


def test_rows_that_an_index_should_know_and_does_not_are_found(tmp_path: Path) -> None:
    _, rows = _indexed(tmp_path)
    folder = tmp_path / "index" / "cases-1"
    known = np.load(folder / "keys.npy")
    known[known == known.max()] += 7
    np.save(folder / "keys.npy", known)  # the last row's serial is not in it, and yet smaller than the greatest
    facts = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(facts | {"keys_sha256": sha256(known.tobytes()).hexdigest()}))
    (folder / "checksums.txt").unlink()
    again = LanceStore(tmp_path, SIZE)
    with pytest.warns(RuntimeWarning, match="1 rows of the table are neither in it nor after it"):
        found = [again.search(r.vector, top_k=1)[0].row.case.case_id for r in (rows[3], rows[-1])]
    assert found == ["0003", rows[-1].case.case_id]
    again.compact()
    assert again._index._view() is not None


@pytest.mark.parametrize("where", [None, "site=back"])
def test_a_case_that_is_written_within_a_search_is_found_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str | None
) -> None:
    reader, writer, rows = LanceStore(tmp_path, SIZE), LanceStore(tmp_path, SIZE), random_rows(1200)
    rows[3] = replace(rows[3], case=rows[3].case.model_copy(update={"site": "back"}))
    writer.upsert(rows)
    writer.build_index()
    condition = parse_where([] if where is None else [where])
    assert reader.search(rows[3].vector, condition, top_k=3)[0].row.case.case_id == "0003"
    ages = itertools.count(40)

    def write() -> None:
        writer.upsert([replace(rows[3], case=rows[3].case.model_copy(update={"age": float(next(ages))}))])

    look, read = reader._index._view, lance_store._candidates

    def looked() -> object:
        view = look()
        write()
        return view

    def candidates(*arguments: Any) -> Any:
        write()
        return read(*arguments)

    def ages_found() -> list[float | None]:
        """Of every time that the case is among the hits."""
        hits = reader.search(rows[3].vector, condition, top_k=3)
        return [hit.row.case.age for hit in hits if hit.row.case.case_id == "0003"]

    with monkeypatch.context() as patch:  # written between the look at the index and the filter
        patch.setattr(reader._index, "_view", looked)
        assert ages_found() == [None]
    with monkeypatch.context() as patch:  # written before the rows beside the index are read
        patch.setattr(lance_store, "_candidates", candidates)
        assert ages_found() == [40]
    assert ages_found() == [41]


def test_tidying_leaves_nothing_of_deleted_cases_in_the_index(tmp_path: Path) -> None:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    size = base.manifest.layout.size
    vectors = np.random.default_rng(0).normal(size=(1300, size))
    base.store.upsert([row(f"{i:04d}", v, patient_id=f"patient {i} of Ward Seven") for i, v in enumerate(vectors)])
    base.build_index()

    def held() -> bytes:
        return b"".join(path.read_bytes() for path in (tmp_path / "base" / "index").rglob("rows-*"))

    assert b"patient 7 of Ward Seven" in held()
    base.delete(["0007"])
    tidy(base.uri)
    assert b"patient 8 of Ward Seven" in held()
    assert b"patient 7 of Ward Seven" not in held()
    base.delete([f"{i:04d}" for i in range(400)])
    tidy(base.uri)
    assert held() == b""
    assert CaseBase.open(base.uri, ProjectionEncoder()).count() == 900


def test_a_base_whose_table_is_lost_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    CaseBase.create(tmp_path / "base", ProjectionEncoder())
    drop_table(tmp_path / "base", "cases")
    with pytest.raises(ManifestError, match=r"its rows \(table 'cases'\) are not there"):
        CaseBase.open(tmp_path / "base")
    assert tables(tmp_path / "base") == []
