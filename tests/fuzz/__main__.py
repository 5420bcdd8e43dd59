"""Fuzz all targets, or those that are named: ``python -m tests.fuzz [NAME …] --seconds 60``.

Each runs in a process of its own. An input that fails is kept under ``fuzz-found/``; mend what it shows and put it into
``tests/fuzz/findings/NAME/``, where the suite reads it again.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.mutation import LONGEST
from tests.fuzz.targets import TARGETS

_FOUND = Path("fuzz-found")


def main() -> None:
    """Exits with 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TARGETS)}; all if none is given")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--at-once", type=int, default=2, help="targets that run at the same time")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}; use some of: {', '.join(TARGETS)}")
    if importlib.util.find_spec("atheris") is None:
        parser.error("this needs atheris: pip install atheris (Linux, Python 3.11 to 3.13)")
    with ThreadPoolExecutor(chosen.at_once) as pool:
        found = list(pool.map(lambda name: _fuzzed(name, chosen.seconds), chosen.names or TARGETS))
    sys.exit(any(found))


def _fuzzed(name: str, seconds: int) -> bool:
    """Fuzz one target and print what came of it; whether anything was found."""
    folder = _FOUND / name
    folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-artifact_prefix={folder}/", "-timeout=30",
        "-rss_limit_mb=4000", "-print_final_stats=1", "-close_fd_mask=1",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.engine", name, *options],
            capture_output=True, text=True, errors="replace", check=False, env=_environment(scratch),
        )  # fmt: skip
    said = done.stdout + done.stderr
    counted = re.search(r"number_of_executed_units: (\d+)", said)
    print(f"{name}: {counted[1] if counted else 'no'} inputs, {'FOUND' if done.returncode else 'nothing found'}")  # noqa: T201
    if done.returncode:
        print("\n".join(said.splitlines()[-40:]), flush=True)  # noqa: T201
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return done.returncode != 0


def _environment(scratch: str) -> dict[str, str]:
    return {**os.environ, "TMPDIR": scratch}


if __name__ == "__main__":
    main()
