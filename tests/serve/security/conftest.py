"""Settings of the tests of who gets in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from dermquery.serve.security import users


@pytest.fixture(autouse=True)
def own_hasher(monkeypatch: pytest.MonkeyPatch) -> Iterator[PasswordHasher]:
    """What the program hashes passwords with; meanwhile it has the same at the least cost.

    Its own takes a tenth of a second of four cores, on a busy machine so long that limits of wrong passwords pass.
    """
    own = users._HASHER
    monkeypatch.setattr(users, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    users.prepare_nobody.cache_clear()  # a service of another test may have made it at the program's cost
    yield own
    users.prepare_nobody.cache_clear()
