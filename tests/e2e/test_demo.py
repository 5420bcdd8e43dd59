"""`dermquery demo`, the first command that a new user runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dermquery import CaseBase
from dermquery.cli import app
from dermquery.cli.demo import _CASES, NOTICE
from dermquery.data.case_table import read_cases
from dermquery.lab.synthetic import draw_plans, render_case

SEED = 2024


def test_demo(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    for n in (20, 120):  # a second run adds what the base lacks
        done = CliRunner().invoke(app, ["demo", "--out", str(out), "--n", str(n)])
        assert done.exit_code == 0, done.output
        assert len(CaseBase.open(out / "base")) == n
    assert "text read as: Pigment network: atypical. Blue-whitish veil: present." in done.stdout
    assert NOTICE in done.stdout.replace("\n", " ")
    ranks = [line.split()[:3] for line in done.stdout.splitlines() if line.split()[1:2] and "syn2024-" in line[:25]]
    assert [rank for rank, *_ in ranks] == ["1", "2", "3", "4", "5"]
    assert sum(diagnosis == "mel" for *_, diagnosis in ranks) >= 3, "three times as many as by chance"
    assert NOTICE in (out / "result.html").read_text(encoding="utf-8")
    with Image.open(out / "result.png") as picture:
        assert picture.width == 1920


def test_the_table_is_that_of_the_renderer() -> None:
    cases = read_cases(_CASES / "cases.csv", need=("diagnosis",)).cases
    plans = draw_plans(len(cases), SEED)
    assert cases == tuple(plan.as_case(case.image) for plan, case in zip(plans, cases, strict=True))
    assert {case.image for case in cases} == {path.absolute() for path in (_CASES / "images").iterdir()}
    assert sum(path.stat().st_size for path in _CASES.rglob("*")) < 3_000_000


@pytest.mark.parametrize("index", range(0, 140, 14))
def test_the_images_are_those_of_the_renderer(index: int) -> None:
    """Up to what JPEG loses."""
    plan = draw_plans(index + 1, SEED)[-1]
    with Image.open(_CASES / "images" / f"{plan.case_id}.jpg") as image:
        shipped = np.asarray(image).astype(float)
    rendered = np.asarray(render_case(plan, SEED, (384, 384)).image).astype(float)
    assert np.abs(shipped - rendered).mean() < 4
    assert np.corrcoef(shipped.ravel(), rendered.ravel())[0, 1] > 0.98
