"""Settings of all tests."""

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

# Before numpy and PyTorch are loaded, and for every process that a test starts: the test processes fill the cores, the
# networks are tiny, and threads that wait for one another only burn the time of the others (40 % of some tests).
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Some machines forbid compiled modules; then each of the hundreds of processes compiles all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest
from hypothesis import settings

from dermquery.cli import join_others
from dermquery.model.openvino_runtime import OpenVinoRuntime

sys.dont_write_bytecode = False
join_others()  # the tests run the program in their own process, and the laboratory's commands belong to it

# A busy machine is slow, and that is no failure; performance is measured by the benchmark, never by a test. Half of
# Hypothesis' own number of examples for whoever names none: every landing draws others.
settings.register_profile("dermquery", deadline=None, max_examples=50)
settings.load_profile("dermquery")


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have OpenVINO keep what it compiled, by a file's place, size and time.

    Tests load one model hundreds of times, and three quarters of that are the compiler's. The program itself keeps
    nothing: what is on a disk might be changed, and an artifact's files run as they are hashed.
    """
    folder, compile_ = str(tmp_path_factory.mktemp("compiled")), OpenVinoRuntime._compile
    alone = threading.Lock()  # it changes the locale of the process for a moment; two at a time leave it changed

    def keeping(self: OpenVinoRuntime, graph: str) -> Any:
        with alone:
            self._core.set_property({"CACHE_DIR": folder})
            return compile_(self, graph)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OpenVinoRuntime, "_compile", keeping)
        yield
