"""What ``--column`` says, for every command that reads a table."""

from __future__ import annotations

__all__ = ["column_mapping"]


def column_mapping(pairs: list[str]) -> dict[str, str]:
    """The columns of ``--column THEIRS=OURS``; what cannot be read is a ValueError."""
    mapping: dict[str, str] = {}
    for pair in pairs:
        theirs, equals, ours = (part.strip() for part in pair.partition("="))
        if not (theirs and equals and ours):
            raise ValueError(f"cannot read --column {pair!r}; write THEIRS=OURS, for example dx=diagnosis")
        if mapping.setdefault(theirs, ours) != ours:
            raise ValueError(f"--column says that {theirs!r} is {mapping[theirs]} and {ours}; give one")
    return mapping
