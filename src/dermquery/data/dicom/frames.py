"""Which frame of an object a query is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dermquery.data.dicom.container import is_dicom, need_libraries

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


def said_of_frames(image: Path) -> Sequence[FirstFrameWarning]:
    """The warning about a file, or none: it is no DICOM object, or one of a single frame."""
    with image.open("rb") as file:
        if not is_dicom(file.read(256)):
            return ()
        need_libraries()
        from dermquery.data.dicom.header import read_header
        from dermquery.data.dicom.layout import layout_of

        file.seek(0)
        frames = layout_of(read_header(file)).frames
    return (FirstFrameWarning(frames),) if frames > 1 else ()
