"""Settings of all tests."""

from hypothesis import settings

from dermquery.cli import join_others

join_others()  # the tests run the program in their own process, and the laboratory's commands belong to it

# A busy machine is slow, and that is no failure; performance is measured by the benchmark, never by a test.
settings.register_profile("dermquery", deadline=None)
settings.load_profile("dermquery")
