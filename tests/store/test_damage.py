"""Rows and files that are not as they were written are noticed, left out of every answer, and named."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dermquery.answer.content import report_content
from dermquery.cli import app
from dermquery.data.case import Case
from dermquery.store.archive import ArchiveError
from dermquery.store.base_manifest import MANIFEST_FILE, ManifestError
from dermquery.store.casebase import CaseBase, QueryError
from dermquery.store.damage import DamageError, checksum, is_sound
from dermquery.store.lance.lance_table import TableError
from tests.durability.flips import flip
from tests.store.encoder import ProjectionEncoder
from tests.store.rows import row


def data_file(base: CaseBase) -> Path:
    """The largest data file of the table, which holds the vectors of the first batch."""
    return max(Path(base.uri).glob("cases.lance/data/*"), key=lambda path: path.stat().st_size)


def place_of(file: Path, content: bytes) -> int:
    """Where a content lies in a file, which must hold it once."""
    held = file.read_bytes()
    assert held.count(content) == 1
    return held.index(content)


@pytest.fixture
def own(tmp_path: Path, cases: Sequence[Case]) -> CaseBase:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    base.add(cases[:8])
    return base


@pytest.fixture
def wrong_vector(own: CaseBase) -> str:
    """The id of a case, one bit of whose vector is flipped."""
    vector = own.store.get(["case-003"])["case-003"].vector.astype(np.float16).tobytes()
    file = data_file(own)
    flip(file, (place_of(file, vector) + 1) * 8 + 6)  # a bit of an exponent
    return "case-003"


def reopened(base: CaseBase) -> CaseBase:
    return CaseBase.open(base.uri, ProjectionEncoder())


def test_a_checksum_covers_description_and_vector() -> None:
    vector = np.linspace(0, 1, 5).astype(np.float16).astype(np.float32)
    held = checksum("é", vector)
    assert -(2**63) <= held < 2**63
    assert is_sound("é", vector, held)
    assert is_sound("é", vector[:0], held), "a read without vectors looks at the description alone"
    assert not is_sound("e", vector, held)
    assert not is_sound("e", vector[:0], held)
    assert not is_sound("é", vector[::-1], held)
    assert not is_sound("é", vector, held ^ 1)


def test_a_wrong_row_is_in_no_answer_and_is_named(
    own: CaseBase, wrong_vector: str, caplog: pytest.LogCaptureFixture
) -> None:
    base = reopened(own)
    with caplog.at_level(logging.ERROR, "dermquery.store"):
        result = base.search(text="atypical pigment network", top_k=8)
    assert {hit.case.case_id for hit in result.hits} == set(base.store.ids()) - {wrong_vector}
    assert [hit.rank for hit in result.hits] == list(range(1, 8))
    (damage,) = result.damage
    assert damage.kind == "damaged cases"
    assert damage.case_ids == (wrong_vector,)
    assert "1 case is not as written and in no answer: case-003" in damage.message
    assert "dermquery base check" in damage.message
    assert str(base.uri) not in damage.message, "a service sends it"
    assert report_content(result, warnings=result.damage).warnings == (damage.message,)
    assert f"{base.uri}: 1 case is not as written" in caplog.text
    with pytest.raises(QueryError, match="'case-003' cannot be shown; 1 case is not as written"):
        base.encoded_case(wrong_vector)
    with pytest.raises(DamageError, match=f"base check {base.uri} --repair"):
        list(base.store.scan())
    assert sum(map(len, base.store.scan(whole=False))) == 7
    base.store.upsert([row(wrong_vector, np.ones(base.manifest.layout.size))])
    assert [damage.kind for damage in base.store.damage()] == ["damaged files"], "the old row still lies there"


def test_indexing_the_table_again_writes_a_wrong_row_anew(
    own: CaseBase, wrong_vector: str, cases: Sequence[Case]
) -> None:
    report = reopened(own).add(cases[:8])
    assert (report.added, report.unchanged) == (1, 7)
    assert wrong_vector in reopened(own).store.get([wrong_vector])


def test_a_column_that_filters_ask_is_held_against_the_description(own: CaseBase) -> None:
    file = data_file(own)
    flip(file, 8 * (file.read_bytes().index(b"upper limbs")))
    base = reopened(own)
    result = base.search(text="streaks", where=["age>=20"], top_k=8)
    assert result.damage
    assert "damaged" in result.damage[0].kind


def test_the_command_line_and_json_say_it(
    own: CaseBase, wrong_vector: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dermquery.store.casebase.load_source", lambda _: (ProjectionEncoder(), "projection"))
    out = tmp_path / "hits.json"
    asked = ["search", "--base", str(own.uri), "--text", "streaks", "--model", "projection", "--json", str(out)]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0, told.output
    assert "1 case is not as written" in " ".join(told.stdout.split())
    assert [item["kind"] for item in json.loads(out.read_text())["warnings"]] == ["damaged cases"]


def test_a_file_that_cannot_be_read_is_an_error(own: CaseBase) -> None:
    file = data_file(own)
    data = bytearray(file.read_bytes())
    data[-40:] = bytes(40)  # where the columns are described
    file.write_bytes(data)
    with pytest.raises(TableError, match="dermquery base check"):
        reopened(own).search(text="streaks")


def test_a_manifest_that_changed_is_refused(own: CaseBase) -> None:
    path = Path(own.uri) / MANIFEST_FILE
    path.write_text(path.read_text().replace('"version": 1', '"version": 3'))
    with pytest.raises(ManifestError, match="is not as it was written; restore it from a backup"):
        reopened(own)


def test_a_version_that_was_confirmed_is_not_written_over(own: CaseBase) -> None:
    own.delete(["case-001"])
    newest = sorted((Path(own.uri) / "cases.lance" / "_versions").glob("*.manifest"))[0]
    data = bytearray(newest.read_bytes())
    data[-20:-8] = bytes(12)  # how long the rest is
    newest.write_bytes(data)
    with pytest.warns(RuntimeWarning, match="Files were lost"):
        base = reopened(own)
    assert [damage.kind for damage in base.search(text="streaks").damage] == ["lost cases"]
    with pytest.raises(TableError, match="were written and confirmed are lost"):
        base.delete(["case-002"])


def test_a_thumbnail_and_an_image_are_held_against_their_checksums(own: CaseBase) -> None:
    row = own.store.get(["case-000"])["case-000"]
    assert own.archive is not None
    for kind, read in (("thumbnails", own.archive.thumbnail), ("originals", own.archive.original)):
        read(row.stamp.sha256)
        flip(next(Path(own.uri).glob(f"images/{kind}/*/{row.stamp.sha256}")), 1001)
        with pytest.raises(ArchiveError, match="is damaged; restore it from a backup"):
            read(row.stamp.sha256)
    hit = own.search(text="streaks", top_k=8).hits[0]
    assert own.search(text="streaks").picture(hit) is not None
