"""Targets that read files of several parts: archives of cases, artifacts, snapshots."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save

from dermquery.data.case_table import CaseTableError
from dermquery.model.artifact import (
    EMBEDDINGS,
    GRAPHS,
    MANIFEST,
    TEXT_GRAPH,
    TOKENIZER,
    WEIGHTS,
    ArtifactError,
    artifact_folder,
    sha256,
)
from dermquery.model.heads import VALUES
from dermquery.model.load import load_model
from dermquery.serve.bundle import Bundle, BundleError, load_entries, save_entries
from dermquery.store.archive import ArchiveError
from dermquery.store.base_manifest import ManifestError
from dermquery.store.casebase import CaseBase
from dermquery.store.row_transfer import SnapshotError
from dermquery.store.transfer import restore_snapshot, write_snapshot
from tests.fuzz.target import MARK, FindingError, Reader, Target, parts
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder

__all__ = ["ARCHIVE", "ARTIFACT", "SNAPSHOT"]

_IMAGE_BYTES = 1 << 20


def _archive(folder: Path) -> Reader:
    """A ZIP file, or parts ``NAME\\nCONTENT`` that one is made of."""
    path = folder / "archive.zip"

    def read(data: bytes) -> None:
        path.write_bytes(data if data.startswith(b"PK") else _packed(data))
        try:
            with Bundle(path, _IMAGE_BYTES) as bundle:
                entries, _ = bundle.entries(folder, skip_bad=True)
                save_entries(entries, folder / "entries")
                if list(load_entries(folder / "entries")) != entries:
                    raise FindingError("entries change when they are written")
                for _, name in entries[:3]:
                    bundle.extract(name, folder / "image")
        except (BundleError, CaseTableError):
            return

    return read


def _packed(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for part in data.split(MARK)[:50]:
            name, _, content = part.partition(b"\n")
            info = zipfile.ZipInfo(name[:200].decode("latin-1") or "x")
            info.compress_type = zipfile.ZIP_DEFLATED if len(name) % 2 else zipfile.ZIP_STORED
            archive.writestr(info, content)
    return stream.getvalue()


def _archive_seeds() -> Sequence[bytes]:
    table = b"case_id,image,diagnosis,age\n1,a.png,nv,40\n2,images/b.png,mel,\n"
    flat = MARK.join((b"cases.csv\n" + table, b"a.png\n\x89PNG", b"images/b.png\n\x89PNG"))
    other = MARK.join(
        (b"x/cases.tsv\n" + table.replace(b",", b"\t"), b"x/a.png\n1", b"x/images/b.png\n2", b"__MACOSX/._a.png\n")
    )
    return [flat, other, _packed(flat), _packed(other)]


def _artifact(folder: Path) -> Reader:
    """A manifest, heads and fingerprints; the hashes in the manifest are made to fit."""
    graphs = dict.fromkeys((*GRAPHS, WEIGHTS, EMBEDDINGS, TEXT_GRAPH, TOKENIZER), b"")

    def read(data: bytes) -> None:
        given = parts(data, (MANIFEST, "heads.safetensors", "trained_on.safetensors"))
        files = {**graphs, **{name: content for name, content in given.items() if name != MANIFEST and content}}
        for name, content in files.items():
            (folder / name).write_bytes(content)
        manifest = given[MANIFEST]
        try:
            said = json.loads(manifest)
            if isinstance(said, dict) and isinstance(said.get("files"), dict):
                said["files"] |= {name: sha256(content) for name, content in files.items()}
                manifest = json.dumps(said).encode()
        except (ValueError, RecursionError):
            pass
        (folder / MANIFEST).write_bytes(manifest)
        try:
            load_model(folder)
        except ArtifactError:
            return

    return read


def _artifact_seeds() -> Sequence[bytes]:
    written = json.loads((artifact_folder("demo") / MANIFEST).read_text(encoding="utf-8")) | {"files": {}}
    shapes = {"centre": (4,), "scale": (4,), "diagnosis": (2, 5), "checklist": (2, len(VALUES) + 1), "prior": (2,)}
    shapes |= {"findings": (len(VALUES), 5), "look": (3, 4)}
    heads = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    trained = save({"images": np.zeros((3, 32), np.uint8)})
    with_heads = written | {"diagnoses": ["mel", "nv"], "presets": {"balanced": {"meaning": 1.0, "look": 0.3}}}
    return [
        MARK.join((json.dumps(written).encode(), b"", trained)),
        MARK.join((json.dumps(with_heads).encode(), save(heads), trained)),
    ]


_DOCUMENTED = (SnapshotError, ManifestError, ArchiveError)


def _snapshot(folder: Path) -> Reader:
    """A Parquet file, or the JSON of manifest and columns that one is made of."""
    path, target = folder / "snapshot.parquet", folder / "restored"

    def read(data: bytes) -> None:
        made = data if data.startswith(b"PAR1") else _parquet(data)
        if made is None:
            return
        path.write_bytes(made)
        shutil.rmtree(target, ignore_errors=True)
        try:
            restore_snapshot(path, target)
        except _DOCUMENTED:
            return

    return read


def _parquet(data: bytes) -> bytes | None:
    try:
        said = json.loads(data)
        columns = {name: pa.array(values) for name, values in said["columns"].items() if name != "vector"}
        if "vector" in said["columns"]:
            vectors = said["columns"]["vector"]
            columns["vector"] = pa.array(vectors, pa.list_(pa.float32(), len(vectors[0]))).cast(
                pa.list_(pa.float16(), len(vectors[0]))
            )
        manifest = said["manifest"]
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        table = pa.table(columns).replace_schema_metadata({b"dermquery manifest": text.encode(errors="replace")})
        stream = io.BytesIO()
        pq.write_table(table, stream, write_page_checksum=True)
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        RecursionError,
        OverflowError,
        pa.ArrowException,
    ):
        return None  # no file can be made of it
    return stream.getvalue()


def _snapshot_seeds() -> Sequence[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        base = CaseBase.create(Path(folder) / "base", ProjectionEncoder(width=2, levels=("low",)), images=False)
        base.add(make_cases(Path(folder) / "cases", 2))
        write_snapshot(Path(folder) / "base", Path(folder) / "snapshot.parquet")
        written = (Path(folder) / "snapshot.parquet").read_bytes()
        file = pq.ParquetFile(io.BytesIO(written))
        manifest = json.loads(file.schema_arrow.metadata[b"dermquery manifest"])
        columns = file.read().to_pydict()
    columns["vector"] = [[float(value) for value in vector] for vector in columns["vector"]]
    return [json.dumps({"manifest": manifest, "columns": columns}).encode(), written]


_SAID = [
    b"schema_version",
    b"images",
    b"s3://x/y",
    b"file:///etc",
    b"null",
    b"-1",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b"\\ud800",
]
ARCHIVE = Target(
    _archive, _archive_seeds, [MARK, b"../", b"\\", b"/", b"PK\1\2", b"PK\5\6", b"PK\3\4", b"cases.csv\n", b".parquet"]
)
ARTIFACT = Target(
    _artifact, _artifact_seeds, [MARK, *_SAID, b'"files":', b'"heads.safetensors"', b'"dtype":"F32"', b'"shape":']
)
SNAPSHOT = Target(
    _snapshot, _snapshot_seeds, [*_SAID, b"case_id", b"image_sha256", b"vector", b"checklist", b"PAR1", b"../../x"]
)
