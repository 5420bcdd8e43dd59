"""The benchmark commands at a small size: what they report, never how fast it was."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.data.case import Case
from dermquery.lab.bench import judging
from dermquery.lab.bench.ratios import grown
from dermquery.lab.bench.vector_width import cut, principal_directions, rounded
from dermquery.lab.data.folds import make_folds
from dermquery.lab.synthetic import synthesize
from dermquery.model.alignment import BlockLayout
from dermquery.model.heads import VALUES
from dermquery.model.parts import PartLayout


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize(tmp_path_factory.mktemp("bench"), n=6, seed=1, size=(96, 96))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "options", "timed"),
    [
        ("encode", (), {"torch cases", "openvino cases", "torch query", "openvino query"}),
        ("ingest", (), {"bare encoder", "ingest"}),
        ("query", ("--base-size", 300), {"bare encoders", "search"}),
        ("many", ("--base-size", 40), {"words loop", "words many", "image loop", "both many"}),
    ],
)
def test_a_benchmark_reports_times_and_ratios(
    table: Path, tmp_path: Path, command: str, options: tuple[object, ...], timed: set[str]
) -> None:
    out = tmp_path / "bench.json"
    line = ["bench", command, "--cases", table, "--model", "demo", "--images", 6, "--rounds", 1, "--json", out]
    said = CliRunner().invoke(app, [str(part) for part in (*line, *options)])
    assert said.exit_code == 0, said.output
    result = json.loads(out.read_text("utf-8"))
    assert result["bench"] == command
    assert timed <= result["timings"].keys()
    assert all(times["p90_ms"] >= times["p50_ms"] > 0 for times in result["timings"].values())
    assert result.get("ratio", 1) > 0
    if command == "encode":
        assert result["cosine"]["least"] > 0.99


def test_too_few_images(table: Path) -> None:
    said = CliRunner().invoke(app, ["bench", "encode", "--cases", str(table), "--images", "7"])
    assert said.exit_code == 2
    assert "say --images 6" in said.stderr


def test_grown_vectors_stay_near_their_originals() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(5, 4, 64)).astype(np.float32)
    real /= np.linalg.norm(real, axis=-1, keepdims=True)
    layout = PartLayout(BlockLayout(("low", "high"), 64))
    findings = np.zeros((5, len(VALUES)), np.float32)
    whole = grown(np.concatenate([real.reshape(5, -1), findings], axis=1), layout, 500)
    vectors = whole[:, layout.slices["blocks"]].reshape(500, 4, 64)
    np.testing.assert_allclose(vectors[:5], real, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)
    cosines = (vectors[5:] * real[np.arange(5, 500) % 5]).sum(axis=-1)
    assert abs(cosines.mean() - 1 / np.sqrt(1.25)) < 0.02


@pytest.mark.slow
def test_search_is_held_against_exact_search(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "search.json"
    line = ["bench", "search", "--data", table, "--model", "demo", "--cases", "4000", "--queries", 3, "--json", out]
    said = CliRunner().invoke(app, [str(part) for part in (*line, "--starts", 0)])
    assert said.exit_code == 0, said.output
    (entry,) = json.loads(out.read_text("utf-8"))["sizes"]
    others = {name: found["searches"] for name, found in entry["others"].items()}
    assert {name: len(rows) for name, rows in others.items()} == {
        "FAISS HNSW": 6 * 3, "Lance IVF_HNSW_SQ": 6 * 3, "usearch": 6,
    }  # fmt: skip
    assert len(entry["store"]) == 6 * 3  # four presets and two λ, by three filters
    assert all(row["p50_ms"] > 0 for rows in (entry["store"], *others.values()) for row in rows)
    assert min(row["recall@10"] for row in entry["store"]) == 1.0  # it is exact at this size
    whole = [row["recall@10"] for rows in others.values() for row in rows if row["filter"] == "none"]
    assert min(whole) >= 0.7  # a graph walks past narrow filters, so only these rows are certain
    assert entry["bytes per case"]["table on disk"] > entry["bytes per case"]["vector"]


def test_sizes_that_cannot_be_measured(table: Path) -> None:
    said = CliRunner().invoke(app, ["bench", "search", "--data", str(table), "--cases", "4000,many"])
    assert said.exit_code == 2
    assert "numbers from 4000" in said.stderr


@pytest.mark.parametrize(
    ("known", "remedy"), [({"fold": 2}, "it is judged on fold 2"), ({}, "no fold was left out of its training")]
)
def test_a_model_that_has_seen_the_fold_is_refused(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, int], remedy: str
) -> None:
    cases = [Case(case_id=f"c{i}", image=Path("none.png"), diagnosis="nv") for i in range(4)]
    folds = SimpleNamespace(sha256="f" * 64)
    model = SimpleNamespace(name="mine", provenance={"folds_sha256": folds.sha256, **known})
    monkeypatch.setattr(judging, "published_folds", lambda _: folds)
    with pytest.raises(ValueError, match=f"has seen the cases of fold 0; {remedy}"):
        judging.judging_parts(model, cases, 0)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_ranking_is_the_same_on_both_runtimes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "published_folds", make_folds)
    out, table = tmp_path / "ranking.json", synthesize(tmp_path / "cases", n=120, seed=2, size=(96, 96))
    line = ["bench", "ranking", "--data", table, "--model", "demo", "--json", out]
    said = CliRunner().invoke(app, [str(part) for part in line])
    assert said.exit_code == 0, said.output
    result = json.loads(out.read_text("utf-8"))
    assert result["runtimes"][0] == "torch"
    assert result["runtimes"][1].startswith("openvino")
    assert set(result["protocols"]) == {"seen", "unseen"}
    for row in result["protocols"].values():
        assert 0 < row["torch"]["map"] <= 1
        assert row["same ten best"] >= 0.9
    assert result["greatest change"] <= 0.002
    assert min(result["least cosine"].values()) >= 0.999


def test_cut_blocks_keep_what_the_directions_hold() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(2, 3, 16))  # every block lies in three dimensions of sixteen
    vectors = np.einsum("nbk,bki->nbi", rng.normal(size=(40, 2, 3)), plane)
    vectors = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    flat = vectors.reshape(40, -1)
    small = cut(flat, 16, 3, principal_directions(flat, 16))
    assert small.shape == (40, 6)
    np.testing.assert_allclose(small @ small.T, flat @ flat.T, atol=1e-5)
    first = cut(flat, 16, 4).reshape(40, 2, 4)
    np.testing.assert_allclose(np.linalg.norm(first, axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(first[3, 1] / first[3, 1, 0], vectors[3, 1, :4] / vectors[3, 1, 0], rtol=1e-4)


def test_rounding_stays_within_half_a_step() -> None:
    vectors = np.random.default_rng(0).uniform(-1, 1, (50, 8)).astype(np.float32)
    step = (vectors.max(axis=0) - vectors.min(axis=0)) / 255
    error = np.abs(rounded(vectors, "int8", vectors) - vectors)
    assert (error <= step / 2 + 1e-6).all()
    assert error.max() > 0
    assert rounded(np.full((1, 8), 9, np.float32), "int8", vectors).max() <= 1  # what was never seen is clipped
    np.testing.assert_array_equal(rounded(vectors, "float16", vectors), vectors.astype(np.float16))
    np.testing.assert_array_equal(rounded(vectors, "float32", vectors), vectors)
