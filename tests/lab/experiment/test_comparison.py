"""What a comparison measures of a row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dermquery.data.case import Case
from dermquery.lab.config import Config
from dermquery.lab.experiment.comparison import Row, _timed
from dermquery.lab.experiment.registry import SYSTEMS


class Remembering:
    """A ranker that keeps what it encoded, as the trained ones do."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> np.ndarray:
        self.encoded += [query.case_id for query in queries if query.case_id not in self.encoded]
        return np.zeros((len(queries), len(gallery)), np.float32)


def test_rows_that_share_a_ranker_are_timed_on_queries_that_it_does_not_know() -> None:
    cases = [Case(case_id=str(i), image=Path(f"{i}.jpg"), diagnosis="nv") for i in range(30)]
    ranker = Remembering()
    for n, key in enumerate(("composed", "image_only"), start=1):
        system = SYSTEMS[key]
        assert _timed(Row(system.title, system, Config()), ranker, cases, cases) > 0  # type: ignore[arg-type]
        assert len(ranker.encoded) == 21 * n


def test_rows_that_need_the_composed_model_are_made_by_one_process() -> None:
    jobs = {key: SYSTEMS[key].job for key in SYSTEMS}
    assert {jobs[key] for key in ("composed", "image_only", "diagnosed", "balanced", "balanced_recorded")} == {
        "composed"
    }
    assert jobs["snf_dca"] == jobs["resnet50_cossim"] != jobs["frozen"] == jobs["checklist_cosine"] == "untrained"
