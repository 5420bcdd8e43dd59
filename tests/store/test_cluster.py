"""Encoding on a Ray cluster: one of several real processes, started here."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dermquery.store.base_manifest import ModelMismatchError
from dermquery.store.casebase import CaseBase
from dermquery.store.cluster import RayExecutor
from dermquery.store.ingest import IngestProgress
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    root = str(Path(__file__).parents[2])
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join([root, str(Path(root) / "src")])}},
    )
    yield ray
    ray.shutdown()


def executor(model: ProjectionEncoder, base: CaseBase, expected: str | None = None, workers: int = 2) -> RayExecutor:
    images = None if base.archive is None else base.archive.lasting_url
    load = partial(ProjectionEncoder, model.seed)
    return RayExecutor("auto", load, expected or model.artifact_hash, images=images, batch_size=4, workers=workers)


def test_a_cluster_makes_the_same_base(cluster: Any, tmp_path: Path, encoder: ProjectionEncoder) -> None:
    cases = make_cases(tmp_path / "own", 40)
    cases[7].image.write_bytes(b"no image")
    here = CaseBase.create(tmp_path / "here", encoder)
    here.add(cases)
    there = CaseBase.create(tmp_path / "there", encoder)
    workers = executor(encoder, there)
    report = there.add(cases, executor=workers)
    assert (report.added, [bad.case_id for bad in report.bad]) == (39, ["case-007"])
    expected, found = here.store.get(here.store.ids()), there.store.get(there.store.ids())
    assert expected.keys() == found.keys()
    for case_id, row in expected.items():
        assert (found[case_id].case, found[case_id].stamp) == (row.case, row.stamp)
        np.testing.assert_array_equal(found[case_id].vector, row.vector)
    assert there.archive is not None
    assert here.archive is not None
    assert set(there.archive.names()) == set(here.archive.names())
    assert there.add(cases, executor=workers).unchanged == 39


def test_a_worker_that_dies_is_replaced(cluster: Any, tmp_path: Path, encoder: ProjectionEncoder) -> None:
    cases = make_cases(tmp_path / "own", 120)
    base = CaseBase.create(tmp_path / "base", encoder)
    workers = executor(encoder, base)
    pids = cluster.get([worker.pid.remote() for worker in workers.workers])
    assert len(set(pids)) == 2
    assert os.getpid() not in pids
    killed = iter(pids[:1])

    def progress(state: IngestProgress) -> None:
        if state.done >= 12 and (pid := next(killed, None)):
            os.kill(pid, signal.SIGKILL)

    report = base.add(cases, executor=workers, progress=progress)
    assert (report.added, report.bad) == (120, ())
    assert next(killed, None) is None
    assert len(set(base.store.ids())) == 120


def test_a_worker_with_another_model_is_refused(cluster: Any, tmp_path: Path, encoder: ProjectionEncoder) -> None:
    base = CaseBase.create(tmp_path / "base", encoder)
    with pytest.raises(ModelMismatchError, match="give every machine of the cluster the same model"):
        base.add(make_cases(tmp_path / "own", 3), executor=executor(encoder, base, "f" * 64, workers=1))
    assert base.count() == 0


def test_no_cluster(encoder: ProjectionEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself waits for more than a minute before it says so, and that is not ours to test."""
    ray = pytest.importorskip("ray")

    def nobody(**options: Any) -> None:
        raise ConnectionError(f"nobody at {options['address']}")

    monkeypatch.setattr(ray, "init", nobody)
    with pytest.raises(ConnectionError, match=r"no Ray cluster answers at 'head:6379' .* use --ray local"):
        RayExecutor("head:6379", ProjectionEncoder, encoder.artifact_hash)
