"""Several folds at a time, each in its own process: the same command once more, with one fold."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["run_folds"]


def run_folds(command: Sequence[str], folds: Sequence[int], jobs: int, out: Path) -> None:
    """Run ``dermquery COMMAND --fold i --json out/fold-i/result.json`` for every fold, ``jobs`` at a time.

    Each gets its share of the cores: on a processor a small network trains faster in two processes
    of one thread than in one process of two. What a process prints goes to ``out/fold-<i>.log``.

    Raises:
        ValueError: a fold failed; the message has the end of its log. The others are finished first and kept.
    """
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    out.mkdir(parents=True, exist_ok=True)

    def run(fold: int) -> int:
        with (out / f"fold-{fold}.log").open("a", encoding="utf-8") as log:
            result = out / f"fold-{fold}" / "result.json"
            arguments = [sys.executable, "-m", "dermquery", *command, "--fold", str(fold), "--json", str(result)]
            return subprocess.run(arguments, stdout=log, stderr=log, env=environment, check=False).returncode  # noqa: S603

    with ThreadPoolExecutor(jobs) as pool:
        codes = dict(zip(folds, pool.map(run, folds), strict=True))
    failed = [fold for fold, code in codes.items() if code]
    if failed:
        log = out / f"fold-{failed[0]}.log"
        end = "\n".join(log.read_text(encoding="utf-8").splitlines()[-5:])
        raise ValueError(f"folds {failed} failed; the end of {log}:\n{end}")
