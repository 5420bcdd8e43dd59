"""A case base from Python: many queries at once, frames, notebooks, vectors, and an estimator like scikit-learn's."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.base import clone
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.data.case import Case, Query
from dermquery.data.image import ImageError, ImageSource
from dermquery.store import one_pass
from dermquery.store.casebase import CaseBase, QueryError
from dermquery.store.estimator import CaseNeighbors, ShareWarning
from dermquery.store.exact_order import best
from dermquery.store.filters import Filter
from dermquery.store.hits import SearchResult
from dermquery.store.protocol import ImageStamp, StoredCase
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Case]:
    return make_cases(tmp_path_factory.mktemp("cases"), 24)


@pytest.fixture(scope="module")
def base(cases: Sequence[Case], tmp_path_factory: pytest.TempPathFactory) -> CaseBase:
    made = CaseBase.create(tmp_path_factory.mktemp("base") / "base", ProjectionEncoder(heads=True))
    made.add(cases)
    return made


@pytest.fixture(scope="module")
def queries(cases: Sequence[Case]) -> list[dict[str, Any]]:
    small = Image.open(cases[5].image).resize((40, 40))
    return [
        {"text": "atypical network"},
        {"image": cases[3].image},
        {"image": cases[4].image.read_bytes(), "text": "irregular streaks"},
        {"checklist": {"streaks": "absent"}},
        {"image": small, "checklist": {"pigment_network": "typical"}},
    ]


def told(result: SearchResult) -> list[Any]:
    """All of a result but scores, which a batch may round elsewhere in the seventh digit."""
    flags = [(h.rank, h.case.case_id, h.same_image, h.same_photograph, h.trained_on, h.sha256) for h in result.hits]
    terms = [(dict(h.shared_criteria), dict(h.differing_criteria)) for h in result.hits]
    return [flags, terms, dict(result.terms), result.n_candidates, result.preset, result.where, result.base]


@pytest.mark.parametrize("passes", [True, False])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"top_k": 3, "offset": 2},
        {"where": ["site=back,chest", "age>=1"], "exclude_case": "case-003"},
        {"weights": "meaning=.2,findings=1,look=.5", "top_k": 40},
    ],
)
def test_many_searches_find_what_a_loop_finds(
    base: CaseBase, queries: list[dict[str, Any]], how: dict[str, Any], passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_pass, "CASES_PER_QUERY", 500 if passes else 0)
    together = base.search_many(queries, **how)
    alone = [base.search(**query, **how) for query in queries]
    assert [told(result) for result in together] == [told(result) for result in alone]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose([h.score for h in one.hits], [h.score for h in other.hits], atol=1e-5)
        assert [h.closer_than.keys() for h in one.hits] == [h.closer_than.keys() for h in other.hits]
        for hit, same in zip(one.hits, other.hits, strict=True):
            assert hit.closer_than
            np.testing.assert_allclose([*hit.closer_than.values()], [*same.closer_than.values()], atol=1e-5)


def test_one_pass_over_any_batches_orders_as_a_store_does() -> None:
    rng = np.random.default_rng(0)
    distinct = rng.standard_normal((40, 16)).astype(np.float32)
    vectors = np.concatenate([distinct, distinct[:20], distinct[:20] * np.float32(1 + 1e-6)])
    rows = [
        StoredCase(Case(case_id=f"{i:03d}", image=Path("x")), vector, ImageStamp(f"{i}", 0, 0))
        for i, vector in enumerate(vectors)
    ]
    asked = rng.standard_normal((6, 16)).astype(np.float32)
    for size in (7, 80):
        batches = [rows[i : i + size] for i in range(0, len(rows), size)]
        for found, query in zip(one_pass.best_of_each(batches, asked, Filter(), 9), asked, strict=True):
            assert [row.case.case_id for row in found] == [item.row.case.case_id for item in best(rows, query, 9)]


def test_a_query_of_many_that_cannot_be_asked_is_named_as_one_alone(base: CaseBase, tmp_path: Path) -> None:
    assert base.search_many([]) == []
    with pytest.raises(QueryError, match="the query is empty"):
        base.search_many(["atypical network", {"text": " "}])
    with pytest.raises(ImageError, match=r"nowhere\.jpg: no such image"):
        base.search_many(["atypical network", tmp_path / "nowhere.jpg"])
    with pytest.raises(QueryError, match="top_k must be at least 1"):
        base.search_many(["atypical network"], top_k=0)


@pytest.mark.parametrize("form", ["text", "path", "bytes", "stream", "array", "grey", "pillow", "mapping", "query"])
def test_a_single_query_is_a_list_of_one(base: CaseBase, cases: Sequence[Case], form: str) -> None:
    path = cases[7].image
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    forms: dict[str, Any] = {
        "text": "atypical network", "path": path, "bytes": path.read_bytes(), "stream": io.BytesIO(path.read_bytes()),
        "array": np.asarray(picture), "grey": np.asarray(picture.convert("L")), "pillow": picture,
        "mapping": {"text": "atypical network"}, "query": Query(text="atypical network"),
    }  # fmt: skip
    one = forms[form]
    (result,) = base.search_many(one, top_k=2)
    same = Query.of(io.BytesIO(path.read_bytes()) if form == "stream" else one)
    assert [hit.case.case_id for hit in result.hits] == [
        hit.case.case_id for hit in base.search_many([same])[0].hits[:2]
    ]
    if form != "stream":
        assert len(base.encode_many(one)) == len(base.model.encode_query([same])) == 1


def test_every_form_of_an_image_is_the_same_query(base: CaseBase, cases: Sequence[Case]) -> None:
    path = cases[7].image
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    forms: list[ImageSource] = [path, path.read_bytes(), io.BytesIO(path.read_bytes()), picture, np.asarray(picture)]
    alone = [base.search(image=form, top_k=4) for form in [str(path), *forms]]
    assert (
        len({tuple(hit.case.case_id for hit in result.hits) for result in (*alone, *base.search_many(forms, top_k=4))})
        == 1
    )
    assert [bool(result.hits[0].same_image) for result in alone] == [True, True, True, True, False, False]
    encoded = base.encode_many([path, "atypical network", Query(text="typical network")])
    np.testing.assert_allclose(encoded[0].vector, base.encode(image=path).vector, atol=1e-6)
    assert encoded[0].same == (cases[7].case_id,)


def test_the_vectors_are_those_that_are_searched(base: CaseBase, cases: Sequence[Case]) -> None:
    ids, vectors = base.vectors()
    assert ids == tuple(sorted(case.case_id for case in cases))
    assert vectors.shape == (24, base.manifest.layout.size)
    rows = base.store.get(ids)
    np.testing.assert_array_equal(vectors, np.stack([rows[case_id].vector for case_id in ids]))


@pytest.mark.parametrize("name", ["vectors.npy", "vectors.parquet"])
def test_vectors_are_exported_with_their_cases_and_parts(base: CaseBase, tmp_path: Path, name: str) -> None:
    said = CliRunner().invoke(app, ["base", "export", str(base.uri), "--vectors", "--out", str(tmp_path / name)])
    assert said.exit_code == 0, said.output
    assert f"24 vectors of {base.manifest.layout.size} numbers" in said.stdout
    ids, vectors = base.vectors()
    if name.endswith(".npy"):
        np.testing.assert_array_equal(np.load(tmp_path / name), vectors)
        described = json.loads((tmp_path / "vectors.json").read_text())
        assert tuple(described["case_ids"]) == ids
    else:
        table = pq.read_table(tmp_path / name)
        assert tuple(table["case_id"].to_pylist()) == ids
        np.testing.assert_array_equal(np.stack(table["vector"].to_numpy(zero_copy_only=False)), vectors)
        assert table["diagnosis"].to_pylist() == [base.store.get([i])[i].case.diagnosis for i in ids]
        described = json.loads(table.schema.metadata[b"dermquery"])
    assert described["model_hash"] == base.manifest.model_hash
    assert described["parts"]["look"] == [vectors.shape[1] - 5, vectors.shape[1]]


def test_other_endings_and_folders_are_refused(base: CaseBase, tmp_path: Path) -> None:
    for out, message in (("v.csv", ".npy or .parquet"), ("none/v.npy", "there is no folder")):
        said = CliRunner().invoke(app, ["base", "export", str(base.uri), "--vectors", "--out", str(tmp_path / out)])
        assert (said.exit_code, message in said.stderr) == (2, True)


def test_a_result_is_a_frame(base: CaseBase, monkeypatch: pytest.MonkeyPatch) -> None:
    result = base.search(text="atypical network", top_k=6)
    frame = result.to_frame()
    assert list(frame["case_id"]) == [hit.case.case_id for hit in result.hits]
    assert list(frame["score"]) == [hit.score for hit in result.hits]
    assert list(frame["pigment_network"].fillna("")) == [
        h.case.checklist.get("pigment_network", "") for h in result.hits
    ]
    assert "Research use only" in frame.attrs["notice"]
    none = base.search(text="atypical network", where=["site=back", "site=chest"])
    assert list(none.to_frame().columns) == list(frame.columns)
    assert none.to_frame().empty
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pandas"):
        result.to_frame()


def test_a_notebook_shows_small_pictures_and_no_markup_of_the_data(cases: Sequence[Case], tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    made = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    made.add([case.model_copy(update={"case_id": f"{evil}{i}", "diagnosis": evil}) for i, case in enumerate(cases)])
    shown = made.search(image=cases[0].image, text=f"atypical network {evil}", top_k=24)._repr_html_()
    assert "<script" not in shown
    assert shown.count("<img") == 21, "the query and twenty hits"
    assert "and 4 more hits" in shown
    assert len(shown) < 150_000
    assert "Research use only" in shown
    cases[0].image.exists()


def test_a_base_is_an_estimator(base: CaseBase, queries: list[dict[str, Any]]) -> None:
    estimator = CaseNeighbors(base, n_neighbors=4).fit()
    distances, indices = estimator.kneighbors(queries)
    results = base.search_many(queries, top_k=4)
    assert estimator.case_ids_[indices].tolist() == [[h.case.case_id for h in r.hits] for r in results]
    np.testing.assert_allclose(distances, [[-h.score for h in r.hits] for r in results])
    np.testing.assert_array_equal(estimator.kneighbors(queries, return_distance=False), indices)
    with pytest.warns(ShareWarning, match="no probability"):
        shares = estimator.predict_proba(queries)
    assert estimator.classes_.tolist() == ["bkl", "mel", "nv", "unknown"]
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares[0, 1] == np.mean([hit.case.diagnosis == "mel" for hit in results[0].hits])


def test_an_estimator_can_be_copied_and_changed_as_sklearn_does_it(base: CaseBase) -> None:
    copy = clone(CaseNeighbors(str(base.uri), n_neighbors=3, where=["site=back"]))
    assert copy.get_params() == {"base": str(base.uri), "n_neighbors": 3, "weights": None, "where": ["site=back"]}
    assert copy.set_params(n_neighbors=2).n_neighbors == 2
    opened = clone(CaseNeighbors(base, where=("site=back",)).fit())
    assert (opened.base, opened.where) == (base, ("site=back",))
    assert not hasattr(opened, "case_ids_")
    with pytest.raises(ValueError, match="no parameter k"):
        copy.set_params(k=1)
    with pytest.raises(ValueError, match=r"call fit\(\) first"):
        copy.kneighbors(["atypical network"])
    with pytest.raises(ValueError, match="only 24 cases can be found"):
        CaseNeighbors(base, n_neighbors=99).fit().kneighbors(["atypical network"])
