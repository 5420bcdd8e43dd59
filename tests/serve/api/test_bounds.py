"""What one principal may take of a service, and what it says when others get no turn."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from dermquery.client import ApiError, Client
from dermquery.data.decoding import Decoders
from dermquery.serve import upload_budget
from dermquery.serve.line import Busy, asking
from dermquery.serve.security.api_keys import KeyFile
from dermquery.serve.settings import ServeSettings
from dermquery.serve.upload_budget import UploadBudget
from dermquery.store.casebase import CaseBase
from tests.attacks.images import LARGE, SIDE
from tests.serve.conftest import Served, serving
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder
from tests.waiting import until


@contextmanager
def with_keys(folder: Path, **changes: Any) -> Iterator[tuple[Served, dict[str, str]]]:
    cases = make_cases(folder / "cases", 3)
    base = CaseBase.create(folder / "base", ProjectionEncoder())
    base.add(cases)
    keys = KeyFile(ServeSettings(base=".", state=folder / "state").keys_file)
    made = {"reader": keys.create("reader", "read"), "writer": keys.create("writer", "write")}
    made["other"] = keys.create("other", "read")
    with serving(base, folder / "state", cases, **changes) as served:
        yield served, made


def begun(served: Served, path: str, key: str, length: int | None, address: str = "127.0.0.1") -> socket.socket:
    """A request whose head has been sent and whose body has not."""
    place = urlsplit(served.url)
    connection = socket.create_connection((place.hostname, place.port), timeout=20, source_address=(address, 0))
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    head = f"POST {path} HTTP/1.1\r\nHost: {place.netloc}\r\nX-API-Key: {key}\r\n{size}\r\n"
    connection.sendall(head.encode() + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n")
    return connection


def status_of(connection: socket.socket) -> str:
    return connection.recv(12).decode()[9:]


def test_scope_is_checked_before_a_byte_of_the_body(tmp_path: Path) -> None:
    """On every route that changes something, whatever the length that is announced."""
    with with_keys(tmp_path) as (served, keys):
        for path in ("/api/v1/jobs", "/api/v1/cases", "/api/v1/jobs/x/undo"):
            for length in (None, 1000):
                assert status_of(begun(served, path, keys["reader"], length)) == "403"
                assert status_of(begun(served, path, "wrong", length)) == "401"
        assert status_of(begun(served, "/api/v1/jobs", keys["writer"], 600 << 20)) == "413"
        with pytest.raises(TimeoutError):
            waits = begun(served, "/api/v1/jobs", keys["writer"], 1000)
            waits.settimeout(0.5)
            status_of(waits)


def test_uploads_of_jobs_have_a_budget_of_the_disk(tmp_path: Path) -> None:
    with with_keys(tmp_path, job_disk_bytes=100_000) as (served, keys):
        first = begun(served, "/api/v1/jobs", keys["writer"], 40_000)
        until(lambda: served.service.jobs.budget._arriving.total() == 40_000)
        answer = httpx.post(
            f"{served.url}/api/v1/jobs", headers={"X-API-Key": keys["writer"]}, files={"archive": b"x" * 30_000}
        )
        assert (answer.status_code, answer.json()["title"]) == (503, "Server is busy")
        assert answer.headers["retry-after"] == "60"
        first.close()
        until(lambda: served.service.jobs.budget._arriving.total() == 0)
        answer = httpx.post(
            f"{served.url}/api/v1/jobs", headers={"X-API-Key": keys["writer"]}, files={"archive": b"x" * 30_000}
        )
        assert (answer.status_code, answer.json()["title"]) == (422, "Upload cannot be used")


def test_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = 0
    budget = UploadBudget(tmp_path / "not" / "there", 100, lambda: waiting)
    with budget.taken("ann", 80), budget.taken("bob", 20), pytest.raises(Busy), budget.taken("bob", 1):
        pass
    with budget.taken("ann", 30), budget.taken("ann", 20):
        with pytest.raises(Busy), budget.taken("ann", 1):
            pass
        with budget.taken("bob", 50), pytest.raises(Busy), budget.taken("eve", 1):
            pass
    waiting = 60
    with pytest.raises(Busy), budget.taken("ann", 41):
        pass
    with budget.taken("ann", 40):
        pass
    full = shutil.disk_usage(tmp_path)._replace(free=upload_budget.LEFT_BYTES + 39)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(OSError, match="no room") as caught, budget.taken("ann", 40):
        pass
    assert caught.value.errno == errno.ENOSPC
    assert not budget._arriving


def test_nobody_has_every_request_of_a_service(tmp_path: Path) -> None:
    with with_keys(tmp_path, host="127.0.0.1") as (served, keys):
        stalled = [begun(served, "/api/v1/searches", keys["reader"], 1000, f"127.0.0.{2 + n % 4}") for n in range(64)]
        reader, other = Client(served.url, keys["reader"]), Client(served.url, keys["other"])
        until(lambda: not answered(reader))
        assert other.info().count == 3
        with pytest.raises(ApiError, match="requests at once") as caught:
            reader.info()
        assert (caught.value.status, caught.value.retry_after) == (429, 2)
        for connection in stalled:
            connection.close()
        until(lambda: answered(reader))
        reader.close()
        other.close()


def answered(client: Client) -> bool:
    try:
        return client.info().count == 3
    except ApiError:
        return False


def slow_png() -> bytes:
    return LARGE["PNG"](SIDE)


def test_a_principals_slow_images_are_in_nobody_elses_way(tmp_path: Path) -> None:
    slow = slow_png()
    with with_keys(tmp_path, decode_seconds=600, request_seconds=600) as (served, keys):  # on a busy machine too
        results: list[int] = []

        def ask() -> None:
            sent = {"image": ("slow.png", slow)}
            headers = {"X-API-Key": keys["reader"]}
            results.append(httpx.post(f"{served.url}/api/v1/searches", files=sent, headers=headers).status_code)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: served.service.decoding._running.total() == 2)
        with Client(served.url, keys["other"]) as other:
            assert len(other.search(served.cases[0].image).hits) == 3
            assert other.ready()
        assert len(results) < 4, "they are still being decoded"
        for thread in threads:
            thread.join()
        assert results == [200] * 4


def test_an_image_that_takes_too_long_is_refused_and_the_next_is_decoded(tmp_path: Path) -> None:
    with with_keys(tmp_path, decode_seconds=0.3) as (served, keys), Client(served.url, keys["writer"]) as client:
        slow = slow_png()
        for ask in (lambda: client.search(slow), lambda: client.add({"case_id": "slow"}, slow)):
            with pytest.raises(ApiError, match=r"decoding it takes more than 0\.3 s; save it as PNG") as caught:
                ask()
            assert (caught.value.status, caught.value.title) == (422, "Image cannot be used")
        assert len(client.search(served.cases[0].image).hits) == 3
        client.add({"case_id": "new"}, served.cases[0].image)


@contextmanager
def crowd(served: Served, places: int) -> Iterator[None]:
    """Take every decoder, each for another principal, until the block ends."""
    gate, taken = threading.Event(), []
    for number in range(places + 1):
        with asking(f"key {number}"):
            taken.append(served.service.decoding.submit(gate.wait, 30))
    try:
        yield
    finally:
        gate.set()
        for future in taken:
            future.result(30)


def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    none = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: none)
    return monkeypatch.undo


def test_readiness_tells_that_nobody_gets_a_turn(own: Served) -> None:
    def said() -> str:
        answer = httpx.get(f"{own.url}/readyz")
        return "ok" if answer.status_code == 200 else str(answer.json()["detail"])

    with crowd(own, 3):
        assert said() == "ok"
        until(lambda: said() != "ok")
        assert said() == "Searches wait for more than 3 s for their turn; ask again in a moment"
        assert httpx.get(f"{own.url}/healthz").status_code == 200
    assert said() == "ok"


def test_readiness_tells_of_a_full_disk_until_there_is_room(own: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    make_room = full_disk(monkeypatch)
    answer = httpx.get(f"{own.url}/readyz")
    assert (answer.status_code, answer.json()["detail"].partition(";")[0]) == (503, "The server's disk is full")
    answer = httpx.post(f"{own.url}/api/v1/jobs", files={"archive": b"x"})
    assert (answer.status_code, answer.json()["title"]) == (503, "Base cannot be written to")
    make_room()
    assert httpx.get(f"{own.url}/readyz").status_code == 200


def test_readiness_tells_of_a_log_that_cannot_be_written_and_it_mends_itself(
    own: Served, own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, audit = os.write, own.app.state.audit

    def full(file: int, data: Any) -> int:
        if file == audit._file:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for _ in range(3):
            with pytest.raises(ApiError) as caught:
                own_client.case("case-003")
            assert (caught.value.status, caught.value.title) == (503, "Not in order")
        assert "The audit log cannot be written" in httpx.get(f"{own.url}/readyz").json()["detail"]
    for _ in range(100):
        if httpx.get(f"{own.url}/readyz").status_code == 200:
            break
        time.sleep(0.1)
    assert own_client.case("case-003").case_id == "case-003"


def test_readiness_remarks_that_an_index_is_being_built(own: Served) -> None:
    assert httpx.get(f"{own.url}/readyz").json() == {"status": "ok", "remarks": []}
    part = Path(own.base.uri) / "index" / "part-x"
    part.mkdir(parents=True)
    (said,) = httpx.get(f"{own.url}/readyz").json()["remarks"]
    assert said.startswith("An index is being built")
    part.rmdir()
    assert httpx.get(f"{own.url}/readyz").json()["remarks"] == []


def test_without_a_decoder_it_is_the_services_fault(own: Served, own_client: Client) -> None:
    own.service._decoders.close()
    with pytest.raises(ApiError) as caught:
        own_client.search(own.cases[0].image)
    assert (caught.value.status, caught.value.title) == (503, "Images cannot be decoded")
    own.service._decoders = Decoders(1, max_pixels=64_000_000)
    assert own_client.search(own.cases[0].image).hits


JSON = {"Content-Type": "application/json"}
MANY = {f"k{number}": 1 for number in range(15_000)}


@pytest.mark.parametrize(
    "body",
    [
        {"exclude_case": ["x"] * 25_000},
        MANY,
        {"filter": {"kind": "all_of", "conditions": [{"kind": "missing", "field": "site"}] * 10_000}},
        {"where": ["x" * 5_000_000]},
    ],
    ids=["ids", "unknown keys", "conditions", "bytes"],
)
def test_json_that_takes_long_to_take_apart_is_refused_before(own: Served, own_client: Client, body: Any) -> None:
    key = own_client.search(text="atypical network").search
    answer = httpx.post(f"{own.url}/api/v1/searches/{key}", json=body)
    assert (answer.status_code, answer.json()["title"]) == (413, "Too large")
    assert "JSON may have 4 MiB and about 10,000 values" in answer.json()["detail"]


@pytest.mark.parametrize(("path", "field"), [("searches", "filter"), ("searches", "checklist"), ("cases", "case")])
def test_json_in_a_form_likewise(own: Served, path: str, field: str) -> None:
    form = {field: json.dumps(MANY)}
    answer = httpx.post(f"{own.url}/api/v1/{path}", data=form, files={"image": own.cases[0].image.read_bytes()})
    assert answer.status_code == 422
    assert "JSON may have 4 MiB and about 10,000 values" in answer.json()["detail"]


def test_the_largest_filter_is_still_taken(own: Served, own_client: Client) -> None:
    key = own_client.search(text="atypical network").search
    conditions = [{"kind": "equals", "field": "site", "value": "é" * 1000}] * 900
    tree = {"kind": "not", "condition": {"kind": "all_of", "conditions": conditions}}
    answer = httpx.post(
        f"{own.url}/api/v1/searches/{key}", content=json.dumps({"filter": tree}, ensure_ascii=False), headers=JSON
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "clause", [" " * 1_000_000 + "x", "a" * 1_000_000 + " ", '"' + "a" * 1_000_000, " ! " * 300_000]
)
def test_a_condition_that_is_none_is_refused_in_a_moment(own: Served, own_client: Client, clause: str) -> None:
    key = own_client.search(text="atypical network").search
    began = time.process_time()
    answer = httpx.post(f"{own.url}/api/v1/searches/{key}", json={"where": [clause]})
    assert answer.status_code == 422
    assert len(answer.text) < 3000
    assert time.process_time() - began < 1


def test_a_few_of_many_faults_are_listed(own: Served, own_client: Client) -> None:
    key = own_client.search(text="atypical network").search
    body = {f"k{number}": 1 for number in range(3000)}
    assert len(httpx.post(f"{own.url}/api/v1/searches/{key}", json=body).json()["errors"]) == 100
