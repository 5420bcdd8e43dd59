"""Whether an image is in the base already: a search for it finds its own case, and adding it makes a second one.

That a file is there byte for byte is looked up. That a case shows the same photograph in another file, compressed again
or resized, is seen among the hits: such a copy is among the first of them, and nothing has to be looked through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dermquery.store.hits import Hit

__all__ = ["SameImageWarning", "SamePhotographWarning", "said_of", "said_of_hits"]

_SHOWN = 5


@dataclass(frozen=True)
class SameImageWarning:
    """The base holds an image, byte for byte.

    Attributes:
        case_ids: the cases that were made of it.
    """

    case_ids: tuple[str, ...]
    kind: str = "in the base"

    @property
    def message(self) -> str:
        """What to know, for people."""
        return f"The base holds this very image, byte-identical: it is {_cases(self.case_ids)}."


@dataclass(frozen=True)
class SamePhotographWarning:
    """Hits show nearly the picture that was asked with, from other files.

    Attributes:
        case_ids: these cases.
    """

    case_ids: tuple[str, ...]
    kind: str = "perhaps in the base"

    @property
    def message(self) -> str:
        """What to know, for people."""
        it = "It looks" if len(self.case_ids) == 1 else "They look"
        return (
            f"The base may hold this image as another file: {_cases(self.case_ids)}. {it} like the same photograph, "
            "compressed again, resized or cropped, and not byte-identical."
        )


def said_of(case_ids: tuple[str, ...]) -> tuple[SameImageWarning, ...]:
    """The warning, or none."""
    return (SameImageWarning(case_ids),) if case_ids else ()


def said_of_hits(hits: Sequence[Hit]) -> tuple[SamePhotographWarning, ...]:
    """The same of hits that look like the query's photograph."""
    alike = tuple(hit.case.case_id for hit in hits if hit.same_photograph)
    return (SamePhotographWarning(alike),) if alike else ()


def _cases(case_ids: tuple[str, ...]) -> str:
    more = f" and {len(case_ids) - _SHOWN} more" if len(case_ids) > _SHOWN else ""
    return f"case{'' if len(case_ids) == 1 else 's'} {', '.join(case_ids[:_SHOWN])}{more}"
