"""Settings of all tests."""

import os
import sys

# Before numpy and PyTorch are loaded, and for every process that a test starts: the test processes fill the cores, the
# networks are tiny, and threads that wait for one another only burn the time of the others (40 % of some tests).
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Some machines forbid compiled modules; then each of the hundreds of processes compiles all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from hypothesis import settings

from dermquery.cli import join_others

sys.dont_write_bytecode = False
join_others()  # the tests run the program in their own process, and the laboratory's commands belong to it

# A busy machine is slow, and that is no failure; performance is measured by the benchmark, never by a test.
settings.register_profile("dermquery", deadline=None)
settings.load_profile("dermquery")
