"""Where this installation keeps what belongs to neither a case base nor a model."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["default_state"]


def default_state() -> Path:
    """``$DERMQUERY_STATE``, else the user's state folder by the XDG Base Directory Specification."""
    if named := os.environ.get("DERMQUERY_STATE"):
        return Path(named)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "dermquery"
