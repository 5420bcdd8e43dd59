"""A service over a base of an earlier version: it is searched, and not written to."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermquery.client import ApiError, Client
from dermquery.serve.web.failures import words_for
from dermquery.store.casebase import CaseBase
from dermquery.store.earlier_schemas import UpgradeNeededError
from tests.serve.conftest import serving
from tests.store.conftest import make_cases
from tests.store.earlier_bases import unpack
from tests.store.encoder import ProjectionEncoder


@pytest.mark.parametrize("schema", [1, 4])
def test_an_earlier_base_is_served_read_only(tmp_path: Path, schema: int, caplog: pytest.LogCaptureFixture) -> None:
    base = CaseBase.open(unpack(tmp_path) / f"schema-{schema}", ProjectionEncoder())
    (case,) = make_cases(tmp_path / "own", 1)
    with serving(base, tmp_path / "state") as served, Client(served.url) as client:
        assert f"dermquery base upgrade {base.uri}" in caplog.text
        assert len(client.search(text="atypical pigment network").hits) == 3
        assert [found.case_id for found in client.cases()] == ["lésion/0", "lésion/1", "lésion/2"]
        assert client.case("lésion/0").source == "clinic A"
        for write in (lambda: client.add(case), lambda: client.delete("lésion/0")):
            with pytest.raises(ApiError, match="503 Base is read-only") as caught:
                write()
            assert str(tmp_path) not in caught.value.detail
        job = client.wait(client.submit(table=_table(tmp_path, case.image), images=[case.image]).id)
        assert job.state == "failed"
        assert len(list(client.cases())) == 3


def test_the_page_says_what_the_operator_can_do() -> None:
    _, words = words_for(UpgradeNeededError("/secret/place has schema 1"))
    assert "dermquery base upgrade" in words
    assert "/secret" not in words


def _table(folder: Path, image: Path) -> Path:
    table = folder / "cases.csv"
    table.write_text(f"case_id,image\nnew,{image.name}\n")
    return table
