"""How many there are of something, also of one."""

from __future__ import annotations

__all__ = ["counted"]


def counted(n: int, what: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
