"""Settings of all tests."""

from hypothesis import settings

# A busy machine is slow, and that is no failure; performance is measured by the benchmark, never by a test.
settings.register_profile("dermquery", deadline=None)
settings.load_profile("dermquery")
