"""A table in Lance's format: versions, handles that threads share, what goes wrong with its files, tables of before."""

from __future__ import annotations

import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from dermquery.store.base_manifest import ManifestError
from dermquery.store.lance.earlier_table import EarlierTable
from dermquery.store.lance.lance_table import LanceTable, TableError, drop_files, tables
from dermquery.store.protocol import packed
from dermquery.store.where import parse_where
from tests.store.rows import SIZE, random_rows

SCHEMA = pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("n", pa.int64())])
WRITTEN_BY_LANCEDB = Path(__file__).with_name("lancedb-0.40.tar.xz")
"""Six cases of which one was written twice and one deleted, with an index of every column that has one."""


def _rows(*keys: str, n: int = 0) -> pa.Table:
    return pa.table({"key": list(keys), "n": [n] * len(keys)}, SCHEMA)


def test_a_snapshot_stays_as_it_was(tmp_path: Path) -> None:
    table = LanceTable(tmp_path, "t", SCHEMA)
    table.merge("key", _rows("a", "b", n=1))
    before = table.now()
    made = table.merge("key", _rows("b", "c", n=2))
    assert (table.delete("key = 'a'"), table.delete("key = 'a'")) == (1, 0)
    table.compact()
    assert before.version < made < table.now().version
    assert sorted(map(tuple, (r.values() for r in before.read(["key", "n"]).to_pylist()))) == [("a", 1), ("b", 1)]
    assert table.now().first("key", "n = 2", 5) == ["b", "c"]
    assert table.now().first("key", None, 1) == ["b"]
    assert [part.num_rows for part in table.now().batches(["n"], 1)] == [1, 1]


def test_threads_read_the_handle_that_another_writes_to(tmp_path: Path) -> None:
    table, done = LanceTable(tmp_path, "t", SCHEMA), threading.Event()

    def read() -> list[int]:
        counts = [table.now().count()]
        while not done.is_set():
            newest = table.now()
            counts.append(newest.count())
            assert newest.read(["key"]).num_rows == counts[-1]
        return [*counts, table.now().count()]

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for i in range(20):
                table.merge("key", _rows(f"{i}"))
                assert table.now().count() == i + 1
        finally:
            done.set()
    for reader in readers:
        assert reader.result() == sorted(reader.result())
        assert reader.result()[-1] == 20


def test_two_that_make_a_table_at_once_share_it(tmp_path: Path) -> None:
    ready = threading.Barrier(4)

    def make(i: int) -> LanceTable:
        ready.wait()
        table = LanceTable(tmp_path, "t", SCHEMA)
        table.merge("key", _rows(f"{i}"))
        return table

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, range(4)))
    assert [table.now().count() for table in made] == [4] * 4


def test_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "Fälle 50%20 #1 ?"
    LanceTable(folder, "cases_2", SCHEMA).merge("key", _rows("a"))
    assert LanceTable(folder, "cases_2").now().count() == 1
    assert tables(folder) == ["cases_2"]
    drop_files(folder, "cases_2")
    drop_files(folder, "cases_2")
    assert tables(folder) == tables(tmp_path / "nowhere") == []


def test_a_table_whose_files_are_lost(tmp_path: Path) -> None:
    table = LanceTable(tmp_path, "t", SCHEMA)
    table.merge("key", _rows("a"))
    for path in (tmp_path / "t.lance" / "data").iterdir():
        path.unlink()
    with pytest.raises(TableError, match=r"t\.lance cannot be read or written .*base check .*--repair"):
        table.now().read(["key"])
    with pytest.raises(TableError, match="cannot be read or written"):
        list(table.now().batches(["key"], 10))
    with pytest.warns(
        RuntimeWarning, match=r"with version 1; passed over: version 2, because data/\w+\.lance is missing"
    ):
        damaged = LanceTable(tmp_path, "t")
    assert damaged.now().count() == 0
    with pytest.raises(TableError, match="that were written and confirmed are lost"):
        damaged.merge("key", _rows("b"))
    drop_files(tmp_path, "t")
    for ask in (table.now, lambda: table.merge("key", _rows("b")), lambda: table.delete("n = 1"), table.compact):
        with pytest.raises(TableError, match="open the base again if it was encoded again meanwhile"):
            ask()
    with pytest.raises(ManifestError, match=r"its rows \(table 't'\) are not there"):
        LanceTable(tmp_path, "t")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TableError, match="cannot be made"):
        LanceTable(tmp_path / "file", "t", SCHEMA)


@pytest.mark.parametrize("content", [b"", bytes(2000), b"half a manifest"])
def test_a_version_that_a_power_cut_tore_is_passed_over(tmp_path: Path, content: bytes) -> None:
    LanceTable(tmp_path, "t", SCHEMA).merge("key", _rows("a"))
    _newest(tmp_path).with_name(f"{2**64 - 1 - 3}.manifest").write_bytes(content)
    with pytest.warns(
        RuntimeWarning, match=r"goes on with version 2; passed over: version 3, because .*put it in again"
    ):
        reader, writer = LanceTable(tmp_path, "t"), LanceTable(tmp_path, "t")
    assert reader.now().count() == 1
    writer.merge("key", _rows("b"))
    assert reader.now().count() == writer.now().count() == LanceTable(tmp_path, "t").now().count() == 2
    assert reader.now().version == 3
    assert len(list((tmp_path / "t.lance" / "_torn").iterdir())) == 1


def test_a_table_of_which_no_version_is_whole(tmp_path: Path) -> None:
    LanceTable(tmp_path, "t", SCHEMA)
    _newest(tmp_path).write_bytes(b"")
    with pytest.raises(TableError, match=r"no version of .* is whole \(\d+\.manifest is empty\); restore"):
        LanceTable(tmp_path, "t")


def test_two_that_write_at_once_wait_for_each_other(tmp_path: Path) -> None:
    tables = [LanceTable(tmp_path, "t", SCHEMA) for _ in range(3)]

    def write(i: int) -> None:
        for n in range(5):
            tables[i].merge("key", _rows(f"{i}-{n}"))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    assert tables[0].now().count() == LanceTable(tmp_path, "t").now().count() == 15


def test_a_file_that_rots_is_named(tmp_path: Path) -> None:
    table = LanceTable(tmp_path, "t", SCHEMA)
    table.merge("key", _rows("a", "b"))
    table.delete("key = 'a'")
    table.index_column("n", "BTREE")
    assert table.wrong_files() == frozenset()
    files = [path for path in (tmp_path / "t.lance").rglob("*") if path.parent.name != "_transactions"]
    named = set()
    for path in (path for path in files if path.suffix in {".lance", ".arrow", ".manifest"}):
        data, opened = bytearray(path.read_bytes()), LanceTable(tmp_path, "t", SCHEMA)
        data[len(data) // 2] ^= 8
        path.write_bytes(data)
        named |= {name for name in opened.wrong_files() if name.endswith(path.name)}
        data[len(data) // 2] ^= 8
        path.write_bytes(data)
    assert {name.partition("/")[0] for name in named} == {"data", "_deletions", "_indices", "_versions"}
    assert LanceTable(tmp_path, "t").wrong_files() == frozenset()


def _newest(folder: Path) -> Path:
    return min((folder / "t.lance" / "_versions").glob("*.manifest"))


def test_a_table_that_lancedb_wrote(tmp_path: Path) -> None:
    """One of schema 5, in single precision."""
    with tarfile.open(WRITTEN_BY_LANCEDB) as archive:
        archive.extractall(tmp_path, filter="data")
    store, rows = EarlierTable(tmp_path, SIZE, "cases"), random_rows(6)
    assert store.ids() == ["0000", "0001", "0002", "0004", "0005"]
    assert store.search(rows[4].vector, top_k=1)[0].score == pytest.approx(1.0, abs=1e-3)
    assert [hit.row.case.case_id for hit in store.search(rows[1].vector, parse_where(["site=arm"]))] == ["0001"]
    assert packed(store.get(["0002"])["0002"].vector).tolist() == rows[2].vector.tolist()
    table = LanceTable(tmp_path, "cases")
    assert table.delete("case_id IN ('0000', '0003')") == 1
    table.compact()
    for name, kind in (("case_id", "BTREE"), ("site", "BITMAP")):
        table.index_column(name, kind)
    assert EarlierTable(tmp_path, SIZE, "cases").ids() == ["0001", "0002", "0004", "0005"]
