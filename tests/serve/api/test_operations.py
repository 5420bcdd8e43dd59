"""What an operator sees: the log of requests, and what is said when the disk is in no order."""

from __future__ import annotations

import errno
import logging
import re
from pathlib import Path

import httpx
import lance
import numpy as np
import pytest

from dermquery.client import ApiError, Client
from dermquery.store.lance.commits import live_files
from dermquery.store.lance.lance_store import LanceStore
from dermquery.store.lance.lance_table import TableError
from tests.durability.flips import flip
from tests.serve.conftest import Served
from tests.waiting import until


def test_a_line_for_each_request_that_names_nobody(
    own: Served, own_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def accesses() -> list[str]:
        said = [record.getMessage() for record in caplog.records if record.name == "dermquery.access"]
        return [line for line in said if "/readyz" not in line]  # which was asked before

    logging.getLogger("dermquery.access").setLevel(logging.INFO)
    with caplog.at_level(logging.INFO):
        # A line is written when its answer has gone, and so perhaps after that of the next request.
        own_client.case("case-003")
        until(lambda: len(accesses()) == 1)
        own_client.search(text="no streaks", where=["site=back"])
        until(lambda: len(accesses()) == 2)
        httpx.get(f"{own.url}/patients/Anna-M?name=Anna%20M&born=1950")
        until(lambda: len(accesses()) == 3)
        httpx.get(f"{own.url}/api/v1/cases/Anna-M?name=Anna")
        until(lambda: len(accesses()) == 4)
    lines = accesses()
    patterns = (
        r"GET /api/v1/cases/\{case_id\} 200 \d+ ms", r"POST /api/v1/searches 200 \d+ ms", r"GET \S+ 404 \d+ ms",
        r"GET /api/v1/cases/\{case_id\} 404 \d+ ms",
    )  # fmt: skip
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), line
    everything = "\n".join(record.getMessage() for record in caplog.records if record.name != "httpx")  # the client's
    assert "Anna" not in everything
    assert "case-003" not in everything
    assert "born" not in everything


@pytest.mark.parametrize(
    ("error", "title", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "Base cannot be written to", "disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "Base cannot be written to", "disk is read-only"),
        (PermissionError(errno.EACCES, "Permission denied"), "Base cannot be written to", "may not write"),
        (TableError("/secret/base.lance: LanceError(IO)"), "Base cannot be reached", "full or read-only"),
    ],
)
def test_a_disk_out_of_order_is_no_defect(
    own_client: Client, monkeypatch: pytest.MonkeyPatch, error: OSError, title: str, said: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(LanceStore, "delete", broken)
    with pytest.raises(ApiError) as caught:
        own_client.delete("case-003")
    assert (caught.value.status, caught.value.title) == (503, title)
    assert said in caught.value.detail
    assert caught.value.retry_after == 60
    assert "secret" not in caught.value.detail


def test_a_damaged_case_is_named_beside_the_hits(own: Served, own_client: Client) -> None:
    vector = own.base.store.get(["case-003"])["case-003"].vector.astype(np.float16).tobytes()
    table = Path(own.base.uri) / "cases.lance"
    for name, _ in live_files(table, lance.dataset(table)):
        if (at := (table / name).read_bytes().find(vector)) >= 0:
            flip(table / name, 8 * at + 14)
    answer = own_client.search(text="no streaks", top_k=12)
    assert len(answer.hits) == 11
    assert "case-003" not in {hit.case.case_id for hit in answer.hits}
    (said,) = answer.warnings
    assert said.kind == "damaged cases"
    assert said.message.startswith("1 case is not as written and in no answer: case-003. ")
    assert str(own.base.uri) not in said.message
    assert own_client.case("case-003").case_id == "case-003", "its description is sound"
    with pytest.raises(ApiError, match="'case-003' cannot be shown; 1 case is not as written"):
        own_client.similar("case-003")


def test_an_image_that_the_base_holds(own: Served, own_client: Client) -> None:
    held = own.cases[3]
    found = own_client.search(held.image)
    said = [warning.message for warning in found.warnings]
    assert "The base holds this very image, byte-identical: it is case case-003." in said
    added = own_client.add({"case_id": "again"}, held.image)
    assert added.same_image_as == ("case-003",)
    said = [warning.message for warning in own_client.search(held.image).warnings]
    assert "The base holds this very image, byte-identical: it is cases again, case-003." in said


def test_an_error_about_an_image_names_its_file(own: Served) -> None:
    sent = {"image": ("left arm.jpg", b"no image at all")}
    for address, form in (("searches", {}), ("cases", {"case": '{"case_id": "new"}'})):
        answer = httpx.post(f"{own.url}/api/v1/{address}", files=sent, data=form)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("left arm.jpg: not an image")
