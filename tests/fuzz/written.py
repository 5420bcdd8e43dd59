"""Targets that read words: conditions, findings, links, tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError
from starlette.datastructures import QueryParams

from dermquery.data.case import CASE_FIELDS
from dermquery.data.case_table import CaseTableError, read_cases, write_cases
from dermquery.data.checklist import CRITERIA
from dermquery.data.findings import read_findings
from dermquery.serve.api.search_schemas import RankingRequest
from dermquery.serve.web.address import Address
from dermquery.store.casebase import CaseBase
from dermquery.store.filters import FilterError
from dermquery.store.matching import matches
from dermquery.store.where import Written
from tests.fuzz.target import FindingError, Reader, Target
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder

__all__ = ["FILTER", "LINK", "TABLE", "TEXT"]


def _conditions(folder: Path) -> Reader:
    """Clauses, a line each, or the JSON of a request; what a store finds is what the reference finds."""
    base = CaseBase.create(folder / "base", ProjectionEncoder())
    cases = make_cases(folder / "cases", 7)
    base.add(cases)

    def read(data: bytes) -> None:
        text = data.decode(errors="replace")
        try:
            if text.startswith("{"):
                written = RankingRequest.model_validate_json(text).condition()
            else:
                lines = text.split("\n")[:100]
                written = Written(
                    tuple(x for x in lines if x[:5] != "must "), tuple(x[5:] for x in lines if x[:5] == "must ")
                )
            where = base.filter_of(written)
            found = base.count(where)
        except (ValidationError, FilterError):
            return
        if found != (meant := sum(matches(where, case) for case in cases)):
            raise FindingError(f"{found} cases in the store, {meant} by the reference")

    return read


def _condition_seeds() -> Sequence[bytes]:
    nested = {"kind": "not", "condition": {"kind": "all_of", "conditions": [{"kind": "missing", "field": "site"}]}}
    tree = {"kind": "all_of", "conditions": [
        {"kind": "equals", "field": "site", "value": "back"}, {"kind": "range", "field": "age", "ge": 20, "lt": 60.5},
        {"kind": "range", "field": "date", "gt": "2020-02-29"}, nested,
        {"kind": "one_of", "field": "extra.camera", "values": ["model 1", "model 2"]},
    ]}  # fmt: skip
    request = {
        "top_k": 5,
        "where": ["site=back"],
        "must": ["streaks=absent"],
        "filter": tree,
        "exclude_case": ["case-001"],
    }
    return [
        *(
            b"site=back,chest",
            b'site="head, neck",missing',
            b"age>=40\nage<60",
            b"diagnosis!=nv\nsite=missing",
            b"date<2024-03-31",
        ),
        *(
            b"\"extra.note\"!='a,b'",
            b"extra.camera=model 3",
            b"must streaks=irregular\nsex=FEMALE",
            b"lesion_id=lesion-1,lesion-2",
        ),
        json.dumps(request).encode(),
        json.dumps({"filter": nested, "weights": {"meaning": 1, "findings": 0.5}}).encode(),
    ]


def _text(_folder: Path) -> Reader:
    return lambda data: _findings(data.decode(errors="replace")[:4000])


def _findings(text: str) -> None:
    """Whatever is read is legal, and any text can be read."""
    found = read_findings(text)
    if any(value not in CRITERIA[name].values for name, value in found.checklist.items()):
        raise FindingError(str(found.checklist))
    found.with_terms({"streaks": "absent"})


def _text_seeds() -> Sequence[bytes]:
    folder = Path(__file__).parents[1] / "data"
    tables = [folder / name for name in ("texts.csv", "texts_languages.csv")]
    rows = [row for table in tables for row in csv.DictReader(io.StringIO(table.read_text(encoding="utf-8")))]
    return [row["text"].encode() for row in rows][::3]


def _link(_folder: Path) -> Reader:
    def read(data: bytes) -> None:
        """A link that is read and written again means the same."""
        address = Address.of(QueryParams(data.decode(errors="replace")))
        again = Address.of(QueryParams(address.path().removeprefix("/").removeprefix("?")))
        if again.path() != address.path():
            raise FindingError(f"{address} became {again}")
        try:
            Written(address.clauses()).read(None)
        except FilterError:
            return

    return read


def _table(folder: Path) -> Reader:
    def read(data: bytes) -> None:
        """A table that is read and written again says the same."""
        path = folder / ("table.parquet" if data[:4] == b"PAR1" else "table.csv")
        path.write_bytes(data)
        try:
            cases = read_cases(path, check_images=False, skip_bad=True, max_rows=10_000).cases
        except CaseTableError:
            return
        again = folder / "again.csv"
        write_cases(cases, again)
        if read_cases(again, check_images=False).cases != cases:
            raise FindingError("the table changes when it is written")

    return read


def _table_seeds() -> Sequence[bytes]:
    header = ",".join(dict.fromkeys(["case_id", "image", *CASE_FIELDS, "own"]))
    row = {
        "case_id": ["a", "b"],
        "image": ["a.png", "b ü.png"],
        "age": [40.0, None],
        "sex": ["male", "female"],
        "own": ["x", ""],
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(row), stream)
    moments = io.BytesIO()
    pq.write_table(
        pa.table({"case_id": [1, 2], "image": ["a", "b"], "date": pa.array([0, 10**15], pa.timestamp("us"))}), moments
    )
    return [
        header.encode() + b"\na,a.png\n",
        b'case_id;image;age;date\n1;"a;b.png";40,5;2024-03-31\n2;b.png;;\n',
        b"sep=|\ncase_id|image\n1|a\n",
        "case_id,image,diagnosis\n1,ä.png,naevus bénin\n".encode("utf-16"),
        "case_id,image,site\n1,ä.png,Rücken\n".encode("cp1252"),
        b"case_id\timage\r\n1\ta\r\n",
        stream.getvalue(),
        moments.getvalue(),
    ]


_LINKS = (
    b"query=ab12&where=site%3D%22back%22&where=streaks!%3D%22irregular%22&k=20&lambda=0.5",
    b"query=1&where=age>%3D20&where=date<%3D2020-02-29&compare=case-1&beside=a%2Fb",
    b"where=site%3D%22%C3%A4%00%F0%9F%98%80%22&weights=meaning=1,findings=.5",
)  # fmt: skip
_KINDS = [
    b"equals",
    b"one_of",
    b"range",
    b"missing",
    b"not",
    b"all_of",
    b"condition",
    b"conditions",
    b"values",
    b"field",
]
FILTER = Target(
    _conditions, _condition_seeds, [*_KINDS, *(name.encode() for name in CASE_FIELDS), b"!=", b">=", b'""', b"\0"]
)
TEXT = Target(
    _text,
    _text_seeds,
    [word.encode() for criterion in CRITERIA.values() for word in (criterion.title, *criterion.values)],
)
LINK = Target(
    _link, lambda: _LINKS, [b"&where=", b"&lambda=", b"%ED%A0%80", b"&", b"=", b"%", b"NaN", b"inf", b"1e308"]
)
TABLE = Target(
    _table, _table_seeds, [*(name.encode() for name in CASE_FIELDS), b'"', b"\r", b"\0", b"\xff\xfe", b"\xe2\x80\xa8"]
)
