"""Tests of answers search the base that the tests of the store make."""

from tests.store.conftest import base, cases

__all__ = ["base", "cases"]
