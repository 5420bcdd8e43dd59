"""The benchmark commands at a small size: what they report, never how fast it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.data.sources.synthetic import synthesize
from dermquery.experiment.bench import grown


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
    ],
)
def test_a_benchmark_reports_times_and_ratios(
    table: Path, tmp_path: Path, command: str, options: tuple[object, ...], timed: set[str]
) -> None:
    out = tmp_path / "bench.json"
    line = ["bench", command, "--cases", table, "--model", "demo", "--images", 6, "--rounds", 1, "--json", out]
    said = CliRunner().invoke(app, [str(part) for part in (*line, *options)])
    assert said.exit_code == 0, said.output
    result = json.loads(out.read_text())
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
    vectors = grown(real.reshape(5, -1), 64, 500).reshape(500, 4, 64)
    np.testing.assert_allclose(vectors[:5], real, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)
    cosines = (vectors[5:] * real[np.arange(5, 500) % 5]).sum(axis=-1)
    assert abs(cosines.mean() - 1 / np.sqrt(1.25)) < 0.02
