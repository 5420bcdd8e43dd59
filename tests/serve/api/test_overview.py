"""What the page has, a program has: reports, the map, duplicates and counts."""

from __future__ import annotations

import csv
import io
import json

import pytest

from dermquery.client import ApiError, Client
from dermquery.store.projection import project
from tests.serve.conftest import Served


def test_a_ranking_is_taken_away_as_a_file(served: Served, client: Client) -> None:
    found = client.search(text="irregular streaks", top_k=3, weights="paper")
    ids = [hit.case.case_id for hit in found.hits]
    data = json.loads(client.report(found.search, "json", top_k=3, weights="paper"))
    assert [hit["case_id"] for hit in data["hits"]] == ids
    rows = list(
        csv.DictReader(io.StringIO(client.report(found.search, "csv", top_k=3, weights="paper").decode("utf-8-sig")))
    )
    assert [row["case_id"] for row in rows] == ids
    assert client.report(found.search).startswith(b"%PDF-")
    assert b"Research use only" in client.report(found.search, "html", top_k=1)
    bundle = json.loads(client.report(found.search, "fhir.json", top_k=3, weights="paper"))
    assert bundle["resourceType"] == "Bundle"
    with pytest.raises(ApiError) as caught:
        client.report("no such search", "csv")
    assert caught.value.status == 404


def test_the_map_counts_and_duplicates(served: Served, client: Client) -> None:
    drawn = client.map()
    expected = project(served.base)
    assert [point.case_id for point in drawn.points] == [point.case_id for point in expected.points]
    assert drawn.explained == pytest.approx(expected.explained)
    counts = client.counts("diagnosis")
    assert sum(entry.count for entry in counts.values) == served.base.count()
    found = client.duplicates()
    assert found.n_groups == len(found.groups)
