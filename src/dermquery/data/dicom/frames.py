"""Which frame of an object a query is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["FirstFrameWarning", "said_of_frames"]


@dataclass(frozen=True)
class FirstFrameWarning:
    """Of several frames of an object, one was asked with.

    Attributes:
        frames: how many it has.
    """

    frames: int
    kind: str = "first frame"

    @property
    def message(self) -> str:
        """What to know, for people."""
        return (
            f"The object has {self.frames} frames, and the first was searched with; for another one export that frame "
            "as an image of its own."
        )


def said_of_frames(frames: int) -> Sequence[FirstFrameWarning]:
    """The warning about a query's image, or none for a single frame."""
    return (FirstFrameWarning(frames),) if frames > 1 else ()
