"""Answers that open pages show, kept for their reports: an address carries a key and never what was asked."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict

from dermquery.serve.service import Answer

__all__ = ["Shelf"]


class Shelf:
    """The last answers, each for its owner. Safe to use from several threads."""

    def __init__(self, most: int = 512) -> None:
        self._most = most
        self._answers: OrderedDict[str, tuple[str, Answer]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, owner: str, answer: Answer) -> str:
        """Keep an answer; returns its key."""
        key = secrets.token_urlsafe(16)
        with self._lock:
            self._answers[key] = (owner, answer)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return key

    def get(self, owner: str, key: str) -> Answer | None:
        """An answer of this owner, or None."""
        with self._lock:
            found = self._answers.get(key)
        return found[1] if found is not None and found[0] == owner else None
