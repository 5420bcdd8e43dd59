"""Case bases on a real Milvus server: the same verbs, and what can go wrong between here and there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from pymilvus import MilvusException
from typer.testing import CliRunner

from dermquery.cli.index import index
from dermquery.cli.search import search
from dermquery.data.case import Case
from dermquery.data.case_table import write_cases
from dermquery.store.base_manifest import Manifest, ManifestError, ModelMismatchError
from dermquery.store.casebase import CaseBase
from dermquery.store.ingest import StoreWriteError
from dermquery.store.lance.folder_home import FolderHome
from dermquery.store.milvus import columns
from dermquery.store.milvus.connection import StoreError
from dermquery.store.milvus.milvus_store import MilvusStore
from dermquery.store.milvus.server_home import MilvusHome
from dermquery.store.places import home_of
from dermquery.store.where import parse_where
from tests.store.conftest import milvus_client
from tests.store.encoder import ProjectionEncoder
from tests.store.loading import load_by
from tests.store.rows import SIZE, row


def test_the_same_verbs_give_the_same_answers(milvus_uri: str, base: CaseBase, cases: Sequence[Case]) -> None:
    remote = CaseBase.create(milvus_uri, ProjectionEncoder())
    assert remote.add(cases, batch_size=7).added == len(cases)
    again = CaseBase.open(milvus_uri, ProjectionEncoder())
    assert again.manifest.model_hash == base.manifest.model_hash
    assert len(again) == len(base)
    for case in cases[:2]:
        for where in (None, ["site=back"], ["age>=30", "diagnosis!=nv"], ["site=missing"]):
            asked: dict[str, Any] = {"image": case.image, "text": "atypical network", "where": where, "top_k": 6}
            here, there = base.search(**asked), again.search(**asked)
            assert [h.case for h in there.hits] == [h.case for h in here.hits]
            np.testing.assert_allclose([h.score for h in there.hits], [h.score for h in here.hits], atol=1e-6)
            assert there.n_candidates == here.n_candidates
    assert again.search(image=cases[0].image).base.diagnoses == base.search(image=cases[0].image).base.diagnoses


def test_a_collection_from_before_a_field_is_searched_and_refuses_what_it_cannot_hold(milvus_uri: str) -> None:
    client, name = milvus_client(milvus_uri), milvus_uri.rpartition("/")[2]
    schema, index = columns.collection_schema(client, SIZE, "")
    schema.fields[:] = [column for column in schema.fields if column.name != "site"]  # as if it had been declared since
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong", num_shards=1)
    store = MilvusStore(client, name, SIZE)
    store.upsert([row("a", sex="female"), row("b")])
    vector = np.ones(SIZE, np.float32)
    assert {hit.row.case.case_id for hit in store.search(vector, parse_where(["site!=back"]))} == {"a", "b"}
    assert store.count(parse_where(["site=missing", "sex=female"])) == 1
    assert store.search(vector, parse_where(["site=back"])) == []
    assert store.page(parse_where(["site=back"])) == []
    assert store.value_counts("site") == {None: 2}
    with pytest.raises(ValueError, match=r"case 'c' has a site, .* `dermquery base copy`"):
        store.upsert([row("c", site="back")])
    assert store.ids() == ["a", "b"]


def test_a_second_ingest_skips_and_another_client_sees_it(milvus_uri: str, cases: Sequence[Case]) -> None:
    encoder = ProjectionEncoder()
    first, reader = CaseBase.create(milvus_uri, encoder), CaseBase.open(milvus_uri)
    assert reader.count() == 0
    first.add(cases)
    assert reader.count() == len(cases)
    encoder.encoded = 0
    assert first.add(cases).unchanged == len(cases)
    assert encoder.encoded == 0


def test_a_base_is_made_once_and_keeps_to_its_model(milvus_uri: str) -> None:
    CaseBase.create(milvus_uri, ProjectionEncoder())
    with pytest.raises(ManifestError, match="holds a case base already"):
        CaseBase.create(milvus_uri, ProjectionEncoder())
    with pytest.raises(ModelMismatchError, match="dermquery base migrate"):
        CaseBase.open(milvus_uri, ProjectionEncoder(seed=1))
    assert CaseBase.open_or_create(milvus_uri, ProjectionEncoder()).count() == 0


def test_a_create_that_was_cut_off_can_be_repeated(milvus_uri: str) -> None:
    home = MilvusHome(milvus_uri)
    manifest = Manifest.of(ProjectionEncoder())
    home.create(manifest)
    client = home._connected()
    client.drop_alias(milvus_uri.rpartition("/")[2])
    assert not home.exists()
    with pytest.raises(ManifestError, match="has no collection"):
        CaseBase.open(milvus_uri)
    assert CaseBase.create(milvus_uri, ProjectionEncoder()).count() == 0


def test_what_milvus_cannot_hold_is_named(milvus_uri: str) -> None:
    base = CaseBase.create(milvus_uri, ProjectionEncoder())
    vector = np.ones(base.manifest.layout.size)
    with pytest.raises(ValueError, match=r"case 'a': site takes 3001 bytes, and a Milvus column holds 2048"):
        base.store.upsert([row("a", vector, site="x" * 3000)])
    with pytest.raises(ValueError, match="its whole description takes"):
        base.store.upsert([row("b", vector, text="x" * 70_000)])
    assert base.count() == 0


def test_a_ranking_deeper_than_milvus_gives_is_refused(milvus_uri: str) -> None:
    base = CaseBase.create(milvus_uri, ProjectionEncoder())
    query = np.ones(base.manifest.layout.size, np.float32)
    with pytest.raises(ValueError, match=r"16380 \+ top_k 10 = 16390 hits, and Milvus ranks at most 16384"):
        base.store.search(query, top_k=10, offset=16_380)
    assert base.store.search(query, top_k=4, offset=16_380) == []


def test_a_search_reads_the_diagnoses_of_the_base_once(
    milvus_uri: str, cases: Sequence[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = CaseBase.create(milvus_uri, ProjectionEncoder())
    base.add(cases)
    pages, read = MilvusStore._pages, []

    def counted(store: MilvusStore, condition: str, columns: list[str], *rest: Any) -> Any:
        read.append(columns)
        return pages(store, condition, columns, *rest)

    base.search(text="x", weights="same findings")  # a sample of the cases is read here, and kept
    base.store._counted.clear()  # type: ignore[attr-defined]
    monkeypatch.setattr(MilvusStore, "_pages", counted)
    first = base.search(image=cases[0].image).base.diagnoses
    assert read == [["diagnosis"]]
    assert base.search(image=cases[1].image).base.diagnoses == first
    assert read == [["diagnosis"]]
    base.store.upsert([replace(base.store.get([cases[0].case_id])[cases[0].case_id],
                               case=cases[0].model_copy(update={"diagnosis": "df"}))])  # fmt: skip
    assert base.search(image=cases[0].image).base.diagnoses["df"] == 1
    CaseBase.open(milvus_uri, ProjectionEncoder()).delete([cases[0].case_id])
    assert "df" not in base.search(image=cases[0].image).base.diagnoses, "the number of cases is another"
    (n, at, counts) = base.store._counted["diagnosis"]  # type: ignore[attr-defined]
    base.store._counted["diagnosis"] = (n, at - 61, counts)  # type: ignore[attr-defined]
    del read[:]
    base.search(image=cases[1].image)
    assert read == [["diagnosis"]], "a minute is over"


def test_a_server_that_fails_says_how_many_cases_are_safe(
    milvus_uri: str, cases: Sequence[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = CaseBase.create(milvus_uri, ProjectionEncoder())
    client: Any = base.store._client._client  # type: ignore[attr-defined]
    write, left = client.upsert, iter([True])

    def full(*arguments: Any, **options: Any) -> Any:
        if next(left, None) is None:
            raise MilvusException(message="quota exceeded[reason=disk]")
        return write(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(client, "upsert", full)
        with pytest.raises(StoreWriteError, match=r"did not upsert \(quota exceeded.*the 5 cases before are safe"):
            base.add(cases, batch_size=5)
    assert base.add(cases).unchanged == 5
    with pytest.raises(StoreError, match="did not query"):
        MilvusStore(client, "nothing", 4).count()


def test_a_build_that_was_killed_is_mended_when_the_base_is_opened(milvus_uri: str, cases: Sequence[Case]) -> None:
    base = CaseBase.create(milvus_uri, ProjectionEncoder())
    base.add(cases)
    client, collection = base.store._client, base.store.collection  # type: ignore[attr-defined]
    for killed_after in ("release", "drop", "create"):
        client.release_collection(collection)
        if killed_after != "release":
            client.drop_index(collection, "vector")
        if killed_after == "create":
            params = client.prepare_index_params()
            params.add_index("vector", index_type="IVF_FLAT", metric_type="IP", params={"nlist": 16})
            client.create_index(collection, params)
        again = CaseBase.open(milvus_uri, ProjectionEncoder())
        assert again.search(image=cases[3].image, exact=True).hits[0].case == cases[3]
        assert again.count() == len(cases)


def test_rows_that_are_lost_are_named(milvus_uri: str) -> None:
    base = CaseBase.create(milvus_uri, ProjectionEncoder())
    manifest = base.manifest.model_copy(update={"version": 7})
    with pytest.raises(ManifestError, match=r"no collection 'test_\d+_\d+_base__v7' with the rows of version 7"):
        MilvusHome(milvus_uri).store(manifest)


def test_writes_are_cut_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_BYTES_PER_WRITE", 10_000)
    records = [columns.to_record(row(str(i), np.ones(4), text="é" * (4500 if i == 3 else 900))) for i in range(8)]
    writes = list(columns.in_writes(records))
    assert [record for part in writes for record in part] == records
    assert 3 <= len(writes) < 8
    for part in writes:
        held = sum(len(v.encode()) if isinstance(v, str) else 8 if isinstance(v, int | float) else v.nbytes
                   for record in part for v in record.values())  # fmt: skip
        assert held <= 10_000 or len(part) == 1


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("milvus://host:19530", "names no collection"),
        ("milvus:///name", "names no collection"),
        ("milvus://host/na-me", "letters, digits and underscores"),
        ("milvus://host/name?token=secret", "names no collection"),
        ("milvus://user:secret@host/name", "DERMQUERY_MILVUS_TOKEN"),
        ("s3://bucket/name", "s3:// is not supported"),
    ],
)
def test_bad_addresses(address: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message) as error:
        home_of(address)
    assert "secret" not in str(error.value)


def test_nobody_answers() -> None:
    with pytest.raises(ManifestError, match=r"no Milvus server answers at 127.0.0.1:1 .*check host, port"):
        CaseBase.open("milvus://127.0.0.1:1/name")


def test_homes_by_uri(tmp_path: Path) -> None:
    assert isinstance(home_of(tmp_path), FolderHome)
    assert home_of(f"file://{tmp_path}").uri == tmp_path
    assert isinstance(home_of("milvus://host/name?tls=true"), MilvusHome)


def test_from_the_command_line(
    milvus_uri: str, tmp_path: Path, cases: Sequence[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_by(monkeypatch, lambda name: (ProjectionEncoder(seed=int(str(name))), str(name)))
    app = typer.Typer()
    app.command()(index)
    app.command()(search)
    write_cases(cases, tmp_path / "cases.csv")
    done = CliRunner().invoke(app, ["index", str(tmp_path / "cases.csv"), "--base", milvus_uri, "--model", "0"])
    assert done.exit_code == 0, done.output
    assert f"it now holds {len(cases)} cases" in done.output
    found = CliRunner().invoke(app, ["search", "--base", milvus_uri, "--image", str(cases[3].image), "--top-k", "2"])
    assert found.exit_code == 0, found.output
    assert cases[3].case_id in found.output
