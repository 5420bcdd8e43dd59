"""What somebody who mistyped a word may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(written: str, there: Iterable[str]) -> str:
    """The end of a message that names the nearest word; empty where none is near.

    >>> did_you_mean("streak", ["streaks", "pigmentation"])
    ". Did you mean 'streaks'?"
    """
    named = {one.casefold(): one for one in there}
    near = difflib.get_close_matches(written.casefold(), named, 1)
    return f". Did you mean {named[near[0]]!r}?" if near else ""
