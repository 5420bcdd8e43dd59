"""Whether an image is in the base already: a search for it finds its own case, and adding it makes a second one."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SameImageWarning", "said_of"]

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
        more = f" and {len(self.case_ids) - _SHOWN} more" if len(self.case_ids) > _SHOWN else ""
        cases = f"case{'' if len(self.case_ids) == 1 else 's'} {', '.join(self.case_ids[:_SHOWN])}{more}"
        return f"The base holds this very image: it is {cases}."


def said_of(case_ids: tuple[str, ...]) -> tuple[SameImageWarning, ...]:
    """The warning, or none."""
    return (SameImageWarning(case_ids),) if case_ids else ()
