"""Settings of the tests of who gets in."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from dermquery.serve.security import users


@pytest.fixture(autouse=True)
def own_hasher(monkeypatch: pytest.MonkeyPatch) -> PasswordHasher:
    """What the program hashes passwords with; meanwhile it has the same at the least cost.

    Its own takes a tenth of a second of four cores, on a busy machine so long that limits of wrong passwords pass.
    """
    own = users._HASHER
    monkeypatch.setattr(users, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    return own
