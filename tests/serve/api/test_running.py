"""How the service behaves when it is crowded, when its base is gone, and when it has a defect."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from dermquery.client import ApiError, Client
from dermquery.data.case import Query
from dermquery.model.alignment import Vectors
from dermquery.serve.security.api_keys import KeyFile
from dermquery.serve.settings import ServeSettings
from dermquery.store.casebase import CaseBase
from tests.serve.conftest import Served, serving
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder
from tests.waiting import until


class HeldEncoder(ProjectionEncoder):
    """Encodes queries only while the gate is open; counts how many are at it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.inside, self.most, self.asked = threading.Event(), 0, 0, 0
        self.gate.set()
        self._lock = threading.Lock()

    def encode_query(self, queries: Sequence[Query]) -> Vectors:
        with self._lock:
            self.inside, self.asked = self.inside + 1, self.asked + 1
            self.most = max(self.most, self.inside)
        try:
            self.gate.wait(20)
            return super().encode_query(queries)
        finally:
            with self._lock:
                self.inside -= 1


def held(folder: Path, **changes: Any) -> tuple[HeldEncoder, CaseBase, Any]:
    encoder = HeldEncoder()
    base = CaseBase.create(folder / "base", encoder)
    base.add(make_cases(folder / "cases", 6))
    return encoder, base, serving(base, folder / "state", **changes)


def test_a_crowd_is_sent_away_and_nobody_who_stayed_is_lost(tmp_path: Path) -> None:
    encoder, _, server = held(tmp_path, concurrency=2, waiting=3)
    answers: list[httpx.Response] = []
    with server as served:
        encoder.gate.clear()

        def ask() -> None:
            answers.append(httpx.post(f"{served.url}/api/v1/searches", data={"text": "no streaks"}, timeout=30))

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        until(lambda: len(answers) == 7)
        assert {answer.status_code for answer in answers} == {503}
        for answer in answers:
            assert answer.json()["title"] == "Server is busy"
            assert int(answer.headers["retry-after"]) > 0
        assert httpx.get(f"{served.url}/healthz").status_code == 200, "whoever does not search is not kept waiting"
        assert httpx.get(f"{served.url}/readyz").status_code == 200
        encoder.gate.set()
        for thread in threads:
            thread.join()
        metrics = httpx.get(f"{served.url}/metrics").text
    assert Counter(answer.status_code for answer in answers) == {200: 5, 503: 7}
    assert encoder.most == 2
    assert 'dermquery_refused_total{line="encoding"} 7.0' in metrics
    assert 'dermquery_requests_total{method="POST",route="/api/v1/searches",status="200"} 5.0' in metrics


def test_a_client_that_goes_away_frees_its_place(tmp_path: Path) -> None:
    encoder, _, server = held(tmp_path, concurrency=1, waiting=2)
    with server as served:
        encoder.gate.clear()
        place = urlsplit(served.url)
        body = b"text=no+streaks"
        head = f"POST /api/v1/searches HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: {len(body)}\r\n"
        request = head.encode() + b"Content-Type: application/x-www-form-urlencoded\r\n\r\n" + body
        connections = []
        for number in range(3):
            connection = socket.create_connection((place.hostname, place.port))
            connection.sendall(request)
            connections.append(connection)
            until(partial(lambda n: len(served.service.encoders) == n, number + 1))
        for connection in connections[1:]:
            connection.close()
        until(lambda: len(served.service.encoders) == 1)
        asked = encoder.asked
        encoder.gate.set()
        connections[0].settimeout(20)
        assert connections[0].recv(15) == b"HTTP/1.1 200 OK"
        connections[0].close()
        assert encoder.asked == asked, "those who left were never encoded"


def test_the_service_is_not_ready_until_the_model_has_encoded_and_while_the_base_cannot_be_read(tmp_path: Path) -> None:
    encoder, base, server = held(tmp_path)
    encoder.gate.clear()
    opening = threading.Timer(0.5, encoder.gate.set)
    started = time.monotonic()
    opening.start()
    with server as served, Client(served.url) as client:
        assert time.monotonic() - started >= 0.4, "it was ready only when the model had encoded"
        key = client.search(text="no streaks").search
        folder = Path(base.uri)
        folder.rename(tmp_path / "gone")
        assert not client.ready()
        for ask in (lambda: client.rerank(key), lambda: client.case("case-001"), client.info):
            with pytest.raises(ApiError) as caught:
                ask()
            assert (caught.value.status, caught.value.title) in ((503, "Not ready"), (503, "Base cannot be reached"))
            assert caught.value.retry_after is not None
            assert str(tmp_path) not in str(caught.value)
        assert "dermquery_base_cases NaN" in httpx.get(f"{served.url}/metrics").text
        (tmp_path / "gone").rename(folder)
        assert client.ready()
        assert len(client.rerank(key).hits) == 6
    opening.join()


def test_a_defect_becomes_a_problem_with_an_id_and_nothing_internal(
    own: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    words = "-".join(["Mrs", "Zyzzyva"])  # not as one word in the line that the log shows

    def broken(*_: object) -> None:
        raise KeyError(words)

    monkeypatch.setattr(own.service, "case", broken)
    with caplog.at_level(logging.ERROR, "dermquery.serve"):
        answer = httpx.get(f"{own.url}/api/v1/cases/case-000")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    problem = answer.json()
    assert problem["instance"] in caplog.text
    assert "unexpected KeyError" in caplog.text
    assert "in broken" in caplog.text
    for text in (answer.text, caplog.text):
        assert words not in text
    assert "Traceback" not in answer.text


def test_an_empty_base_and_a_base_in_use_say_what_to_do(tmp_path: Path) -> None:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    image = make_cases(tmp_path / "cases", 1)[0].image
    with serving(base, tmp_path / "state") as served, Client(served.url) as client:
        with pytest.raises(ApiError, match="The base holds no case yet; add some with POST /api/v1/cases") as caught:
            client.search(text="no streaks")
        assert caught.value.status == 409
        with base._home.writing(), pytest.raises(ApiError, match="Another process writes to the base") as caught:
            client.add({"case_id": "a"}, image)
        assert (caught.value.status, caught.value.retry_after) == (503, 10)
        assert str(tmp_path) not in caught.value.detail
        client.add({"case_id": "a"}, image)
        assert len(client.search(text="no streaks").hits) == 1


def test_a_key_does_what_its_scope_allows_and_has_its_own_searches(tmp_path: Path) -> None:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    cases = make_cases(tmp_path / "cases", 3)
    base.add(cases)
    keys = KeyFile(ServeSettings(base=".", state=tmp_path / "state").keys_file)
    reader, other, writer = keys.create("ann", "read"), keys.create("bob", "read"), keys.create("eve", "write")
    with serving(base, tmp_path / "state") as served:
        with Client(served.url) as nobody, pytest.raises(ApiError) as caught:
            nobody.info()
        assert caught.value.status == 401
        with Client(served.url, reader) as ann, Client(served.url, other) as bob, Client(served.url, writer) as eve:
            key = ann.search(text="no streaks").search
            assert len(ann.rerank(key).hits) == 3
            with pytest.raises(ApiError, match="this search is not kept any more"):
                bob.rerank(key)
            for ask in (lambda: ann.add({"case_id": "a"}, cases[0].image), lambda: ann.delete("case-001"), ann.jobs):
                with pytest.raises(ApiError, match="needs the scope 'write'") as caught:
                    ask()
                assert caught.value.status == 403
            eve.add({"case_id": "a"}, cases[0].image)
            assert httpx.get(f"{served.url}/metrics").status_code == 401
            assert httpx.get(f"{served.url}/metrics", headers={"X-API-Key": reader}).status_code == 200
    assert len(base) == 4


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2/info", 404),
        ("DELETE", "/api/v1/info", 405),
        ("PATCH", "/api/v1/cases/a%2Fb", 405),
        ("POST", "/readyz", 405),
    ],
)
def test_addresses_that_there_are_none_of(shared: Served, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, shared.url + path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    if status == 405:
        assert method not in answer.headers["allow"]


def test_labels_of_metrics_hold_nothing_that_a_user_wrote(shared: Served) -> None:
    for path in ("/api/v1/cases/Zyzzyva", "/api/v1/fields/Zyzzyva", "/Zyzzyva", "/api/Zyzzyva?x=Zyzzyva"):
        httpx.get(shared.url + path)
    httpx.request("ZYZZYVA", f"{shared.url}/api/v1/info")
    metrics = httpx.get(f"{shared.url}/metrics").text
    assert "zyzzyva" not in metrics.lower()
    assert 'route="/api/v1/cases/{case_id}"' in metrics


@pytest.mark.slow
def test_thirty_two_people_search_at_once_and_nothing_is_lost(served: Served) -> None:
    statuses: Counter[int] = Counter()
    wrong: list[object] = []
    lock = threading.Lock()
    expected = {
        case.case_id: [hit.case.case_id for hit in served.base.search(case.image, top_k=5).hits]
        for case in served.cases[:8]
    }

    def ask(number: int) -> None:
        with httpx.Client(base_url=served.url, timeout=120) as http:
            for turn in range(4):
                case = served.cases[(number + turn) % 8]
                files = {"image": ("image", case.image.read_bytes())}
                answer = http.post("/api/v1/searches", files=files, data={"top_k": "5"})
                found = [hit["case"]["case_id"] for hit in answer.json().get("hits", ())]
                with lock:
                    statuses[answer.status_code] += 1
                    if answer.status_code == 200 and found != expected[case.case_id]:
                        wrong.append((case.case_id, found))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses.total() == 32 * 4
    assert set(statuses) <= {200, 429, 503}
    assert statuses[200] > 0
    assert wrong == []
