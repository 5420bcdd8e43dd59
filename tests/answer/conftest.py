"""The outputs are made of the answers of the store's own base."""

from tests.store.conftest import base, cases, encoder

__all__ = ["base", "cases", "encoder"]
