"""Collections of earlier versions on a real server: read as far as their texts allow, and upgraded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from pymilvus import DataType

from dermquery.store.casebase import CaseBase
from dermquery.store.earlier_schemas import UpgradeNeededError
from dermquery.store.export_base import export_base
from dermquery.store.filters import FIELDS
from dermquery.store.matching import field_value
from dermquery.store.migrate import tidy
from dermquery.store.milvus.expression import MISSING_NUMBER, column_text
from dermquery.store.milvus.server_home import MilvusHome
from dermquery.store.protocol import StoredCase, packed
from dermquery.store.upgrade import upgrade
from tests.store.conftest import make_cases, milvus_client
from tests.store.earlier_bases import EARLIER, rows_of, unpack
from tests.store.encoder import ProjectionEncoder


def _record(row: StoredCase, schema: int) -> dict[str, Any]:
    """A row as a version of that schema wrote it."""
    values = {name: field_value(row.case, name) for name in FIELDS if name != "age"}
    texts = {name: None if value is None else str(value) for name, value in values.items()}
    written = {
        name: column_text(text) if schema >= 4 else "" if text is None else "=" + quote(text, safe="")
        for name, text in texts.items()
        if schema > 1 or name not in ("source", "date")
    }
    case = row.case.model_dump(mode="json") | {"image": str(row.case.image)}
    if schema == 1:
        late = {name: case.pop(name) for name in ("source", "date")}
        case["extra"] |= {name: value for name, value in late.items() if value}
    stamp = [row.stamp.sha256, row.stamp.size, row.stamp.mtime_ns, *([row.stamp.phash] if schema > 2 else [])]
    payload = json.dumps({"case": case, "stamp": stamp}, ensure_ascii=False)
    age = MISSING_NUMBER if row.case.age is None else row.case.age
    vector = row.vector[:36] if schema < 6 else row.vector
    key = {"image_key": row.stamp.key} if schema >= 6 else {}
    return {**written, **key, "age": age, "payload": payload, "vector": np.asarray(vector, np.float32)}


@pytest.fixture
def wanted(tmp_path: Path) -> dict[str, StoredCase]:
    """The rows that every collection holds."""
    return rows_of(CaseBase.open(unpack(tmp_path) / "schema-3").store)


def _collection(uri: str, folder: Path, schema: int, rows: dict[str, StoredCase]) -> str:
    """A base on the server as a version of that schema made it."""
    client, name = milvus_client(uri), uri.rpartition("/")[2]
    manifest = (folder / f"schema-{schema}" / "manifest.json").read_text()
    manifest = json.dumps({**json.loads(manifest), "described": False, **({"images": None} if schema > 2 else {})})
    records = [_record(row, schema) for row in rows.values()]
    schema_ = client.create_schema(auto_id=False, enable_dynamic_field=False, description=manifest)
    schema_.add_field("case_id", DataType.VARCHAR, is_primary=True, max_length=1024)
    for column in records[0].keys() - {"case_id", "age", "payload", "vector"}:
        schema_.add_field(column, DataType.VARCHAR, max_length=2048)
    schema_.add_field("age", DataType.DOUBLE)
    schema_.add_field("payload", DataType.VARCHAR, max_length=65_535)
    schema_.add_field("vector", DataType.FLOAT_VECTOR, dim=len(records[0]["vector"]))
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="IP")
    client.create_collection(f"{name}__v1", schema=schema_, index_params=index, consistency_level="Strong")
    client.create_alias(f"{name}__v1", name)
    client.upsert(f"{name}__v1", records)
    return uri


def _assert_same(found: dict[str, StoredCase], wanted: dict[str, StoredCase], *, hashes: bool) -> None:
    assert found.keys() == wanted.keys()
    for case_id, row in found.items():
        assert row.case == wanted[case_id].case
        assert row.stamp.sha256 == wanted[case_id].stamp.sha256
        assert row.stamp.phash == (wanted[case_id].stamp.phash if hashes else "")
        assert np.array_equal(packed(row.vector), packed(wanted[case_id].vector))


@pytest.mark.parametrize("schema", EARLIER)
def test_an_earlier_collection_is_read_and_upgraded(
    milvus_uri: str, tmp_path: Path, wanted: dict[str, StoredCase], schema: int
) -> None:
    uri, encoder = _collection(milvus_uri, tmp_path, schema, wanted), ProjectionEncoder()
    old = CaseBase.open(uri, encoder)
    assert f"dermquery base upgrade {uri}" in str(old.read_only)
    assert [hit.case.case_id for hit in old.search(text="x", where=["age>=30"]).hits] != []
    assert len(old.search(text="x").hits) == 3
    if schema < 4:
        for ask in (
            lambda: old.search(text="x", where=["diagnosis=mel"]),
            lambda: old.search(text="x", exclude_case="lésion/1"),
            lambda: old.encoded_case("lésion/1"),
            lambda: old.store.page(),
        ):
            with pytest.raises(UpgradeNeededError, match=f"upgrade it, then ask again: dermquery base upgrade {uri}"):
                ask()
    else:
        assert old.count(["diagnosis=mel"]) == 1
    with pytest.raises(UpgradeNeededError, match="read-only"):
        old.add(make_cases(tmp_path / "own", 1))
    with pytest.raises(UpgradeNeededError, match="read-only"):
        tidy(uri)
    _assert_same(rows_of(old.store), wanted, hashes=schema > 2)
    assert export_base(uri, tmp_path / "out", images=False).cases == 3

    done = upgrade(uri, encoder)
    assert (done.rows, done.written, done.after.version) == (3, 3, 2)
    base = CaseBase.open(uri, encoder)
    assert base.read_only is None
    _assert_same(rows_of(base.store), wanted, hashes=schema > 2)
    _assert_same(rows_of(old.store), wanted, hashes=schema > 2)
    assert [hit.case.case_id for hit in base.search(text="x", where=["diagnosis=mel"]).hits] == ["lésion/1"]
    assert base.count(["source=clinic A"]) == 1
    assert upgrade(uri, encoder).after == base.manifest
    assert base.add(make_cases(tmp_path / "own", 1)).added == 1
    assert tidy(uri)[0] == 1


def test_an_upgrade_that_was_cut_off_goes_on(
    milvus_uri: str, tmp_path: Path, wanted: dict[str, StoredCase], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = _collection(milvus_uri, tmp_path, 3, wanted)
    with monkeypatch.context() as patch:
        patch.setattr(MilvusHome, "switch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            upgrade(uri)
    assert CaseBase.open(uri).manifest.schema_version == 3
    done = upgrade(uri)
    assert (done.rows, done.written) == (3, 0)
    _assert_same(rows_of(CaseBase.open(uri).store), wanted, hashes=True)


def test_a_collection_of_an_earlier_artifact_takes_the_new_name(
    milvus_uri: str, tmp_path: Path, wanted: dict[str, StoredCase]
) -> None:
    uri, encoder = milvus_uri, ProjectionEncoder()
    CaseBase.create(uri, encoder).store.upsert(list(wanted.values()))
    encoder.replaces = (encoder.artifact_hash,)  # type: ignore[attr-defined]
    encoder.artifact_hash = "new" + encoder.artifact_hash[3:]
    assert "earlier artifact" in str(CaseBase.open(uri, encoder).read_only)
    done = upgrade(uri, encoder)
    assert (done.rows, done.after.version, encoder.encoded) == (3, 2, 0)
    base = CaseBase.open(uri, encoder)
    assert base.read_only is None
    assert base.manifest.model_hash == encoder.artifact_hash
    _assert_same(rows_of(base.store), wanted, hashes=True)
