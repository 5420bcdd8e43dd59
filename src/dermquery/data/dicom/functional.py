"""What an object says of single frames, in its functional groups (PS3.3 C.7.6.16), as attributes of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from dermquery.data.dicom.values import items, value

__all__ = ["by_frame", "group_doubts", "of_all_frames"]

_READ = {
    "FrameAnatomySequence": ("FrameLaterality", "AnatomicRegionSequence"),
    "PixelMeasuresSequence": ("PixelSpacing",),
    "FrameContentSequence": ("FrameAcquisitionDateTime",),
}
"""By group, its attributes that are facts of a case."""
_SHARED, _EACH = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_MOST_BYTES = 1 << 20
"""Of the groups of all frames; those of one take some hundred."""
_Said = Mapping[str, Any]


def by_frame(dataset: Dataset, frames: int) -> list[Dataset]:
    """The attributes of each frame: those of the object, but where a group says otherwise.

    Args:
        dataset: of the object; it is left as it is.
        frames: how many it has.

    Returns:
        One data set a frame, the same one for neighbours of which the same is said.
    """
    made: list[Dataset] = []
    before: _Said = {}
    for said in _said_of_each(dataset, frames):
        made.append(made[-1] if made and said == before else _with(dataset, said))
        before = said
    return made


def of_all_frames(dataset: Dataset, frames: int) -> Dataset:
    """The object's attributes, with what its groups say of all its frames alike."""
    first, *others = _said_of_each(dataset, frames)
    return _with(dataset, {name: said for name, said in first.items() if all(one.get(name) == said for one in others)})


def group_doubts(dataset: Dataset, frames: int) -> tuple[str, ...]:
    """That groups are missing, or too long to be read."""
    if _EACH not in dataset:
        return ()
    count = len(_groups(dataset, _EACH, frames))
    if count >= frames:
        return ()
    return (
        f"of {frames} frames the functional groups of {count} can be read, and what the others' say is not recorded",
    )


def _said_of_each(dataset: Dataset, frames: int) -> list[_Said]:
    shared = _said(_groups(dataset, _SHARED, 1))
    own = [_said([groups]) for groups in _groups(dataset, _EACH, frames)]
    return [{**shared, **(own[place] if place < len(own) else {})} for place in range(frames)]


def _groups(dataset: Dataset, name: str, most: int) -> list[Dataset]:
    return list(items(dataset, name, most=most, most_bytes=_MOST_BYTES))


def _said(groups: Iterable[Dataset]) -> _Said:
    return {
        name: said
        for each in groups
        for sequence, names in _READ.items()
        for group in items(each, sequence, most=1)
        for name in names
        if (said := value(group, name)) not in (None, "")
    }


def _with(dataset: Dataset, said: _Said) -> Dataset:
    if not said:
        return dataset
    made = dataset[:]
    made.file_meta = dataset.file_meta
    for name, each in said.items():
        made.add_new(name, dictionary_VR(name), each)  # not setattr, which would change the object's own element
    return made
