"""A service that is killed loses nothing that it acknowledged, and does nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from dermquery.client import Client
from dermquery.serve.audit_log import Verified, verify
from dermquery.store.casebase import CaseBase
from tests.serve.api.test_jobs import same, zipped
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder

ROOT = Path(__file__).parents[3]


@contextmanager
def killed(base: Path, state: Path) -> Iterator[Client]:
    """A service in a process of its own, which ends by SIGKILL."""
    command = [sys.executable, "-m", "tests.serve.serve_process", str(base), str(state)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    assert process.stdout is not None
    try:
        with Client(f"http://127.0.0.1:{int(process.stdout.readline())}") as client:
            while not client.ready():
                time.sleep(0.02)
            yield client
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.mark.slow
def test_kill_9_in_mid_ingest_loses_nothing_acknowledged(tmp_path: Path) -> None:
    n = 240
    cases = make_cases(tmp_path / "many", n)
    expected = CaseBase.create(tmp_path / "expected", ProjectionEncoder())
    expected.add(cases)
    upload = zipped(tmp_path / "many", cases)
    base, state = tmp_path / "base", tmp_path / "state"
    single = {"case_id": "single", "site": "back"}

    with killed(base, state) as client:
        job = client.submit(upload)
    upload.unlink()
    acknowledged = 0
    for share in (0.2, 0.45, 0.7):
        with killed(base, state) as client:
            assert [known.id for known in client.jobs()] == [job.id]
            if share == 0.45:
                client.add(single, cases[0].image)
            while (acknowledged := client.job(job.id).done) < share * n:
                time.sleep(0.01)
        held = CaseBase.open(base, ProjectionEncoder())
        ids = held.store.ids()
        assert len(ids) - ("single" in ids) >= acknowledged
        assert len(ids) == len(set(ids))
        assert ("single" in ids) == (share > 0.2)
        assert acknowledged < n
    with killed(base, state) as client:
        done = client.wait(job.id, every=0.05)
        assert (done.state, done.done, done.added, done.updated, done.n_bad) == ("done", n, n, 0, 0)
        # The images came with the upload; the test's own files are not needed any more.
        for case in cases:
            case.image.unlink()
        assert len(client.image("case-100")) > 0

    held = CaseBase.open(base, ProjectionEncoder())
    assert len(held) == n + 1
    mine, theirs = (b.store.get([case.case_id for case in cases]) for b in (held, expected))
    for case in cases:
        np.testing.assert_array_equal(mine[case.case_id].vector, theirs[case.case_id].vector)
        assert same(mine[case.case_id].case) == same(case)
        assert mine[case.case_id].stamp.sha256 == theirs[case.case_id].stamp.sha256
        assert mine[case.case_id].case.image.is_file()
    verified = verify(state / "audit")
    assert isinstance(verified, Verified), verified
    lines = [json.loads(line) for path in sorted((state / "audit").glob("*.jsonl")) for line in path.open()]
    assert [(line["event"], line["state"]) for line in lines if line["event"] == "job"] == [
        ("job", "queued"),
        ("job", "done"),
    ]

    with killed(base, state) as client:
        client.undo(job.id)
    with killed(base, state) as client:
        assert client.wait(job.id, every=0.05).removed == n
        assert [case.case_id for case in client.cases()] == ["single"]
