"""Settings of all tests."""

import os

from hypothesis import settings

# An export takes seconds, and most tests need no speed; those of the runtime ask for OpenVINO by name.
os.environ.setdefault("DERMQUERY_RUNTIME", "torch")

# A busy machine is slow, and that is no failure; performance is measured by the benchmark, never by a test.
settings.register_profile("dermquery", deadline=None)
settings.load_profile("dermquery")
