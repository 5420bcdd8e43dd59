"""Models by name, without weights; apart from the encoder, which a process that is killed must load fast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dermquery.store import model_source
from dermquery.store.protocol import Encoder


def load_by(monkeypatch: pytest.MonkeyPatch, load: Callable[[str | Path], tuple[Encoder, str]]) -> None:
    """Let ``load`` resolve the names and paths of models, wherever the store does."""
    monkeypatch.setattr(model_source, "load_model_of", load)
