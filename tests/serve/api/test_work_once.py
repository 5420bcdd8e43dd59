"""What a search costs: one decode of the image, one search for its borders, one reading of the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dermquery.client import Client
from dermquery.data import borders, findings
from dermquery.data.decoding import Decoders
from dermquery.serve import cautions
from tests.serve.conftest import Served, serving
from tests.waiting import until


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the innermost function of each step ran, whoever called it."""
    counted: Counter[str] = Counter()

    def count(module: Any, name: str, step: str) -> None:
        inner: Callable[..., Any] = getattr(module, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            counted[step] += 1
            return inner(*args, **kwargs)

        monkeypatch.setattr(module, name, counting)

    count(Decoders, "decode", "decoded")
    count(borders, "_search", "borders searched")
    count(findings, "_read", "texts read")
    return counted


def test_a_search_decodes_looks_for_borders_and_reads_once(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: Counter[str]
) -> None:
    monkeypatch.setattr(cautions, "LEAST_CASES", 10)  # so that the image is encoded alone too, to be compared
    with serving(served.base, tmp_path / "state", served.cases) as own, Client(own.url) as client:
        until(lambda: own.service._cautions._likeness is not None)
        image = served.cases[3].image.read_bytes()
        calls.clear()
        answer = client.search(image, "atypical network", top_k=3)
        assert calls == {"decoded": 1, "borders searched": 1, "texts read": 1}
        assert own.service._queries.get("open local", answer.search).alone is not None
        calls.clear()
        client.rerank(answer.search, local_weight=0.2)
        assert calls == {}
        client.overlay(answer.search, answer.hits[0].case.case_id)
        assert calls == {"decoded": 1, "borders searched": 2}, "the query's small copy is the service's own"


def test_a_case_that_is_put_in_is_decoded_once(own: Served, own_client: Client, calls: Counter[str]) -> None:
    own_client.add({"case_id": "new"}, own.cases[0].image.read_bytes() + b"\0")
    assert calls["decoded"] == 1
