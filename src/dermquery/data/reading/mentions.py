"""One place where a text speaks of a criterion, and what it says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dermquery.data.checklist import ABSENT, CRITERIA

__all__ = ["Mention"]


@dataclass
class Mention:
    """One place where a text speaks of a criterion.

    Attributes:
        criterion: its name.
        part: the part of it that is named, such as "dots"; empty for the whole.
        words: as they were written.
        given: each the values that one of its words leaves; none if it is only named.
        ruled_out: values that it denies.
        there: whether it says that the structure is there ("the network is not typical").
        doubt: whether it is uncertain.
        past, other: whether it is of another time, or somebody else's view.
    """

    criterion: str
    part: str
    words: str
    given: list[frozenset[str]] = field(default_factory=list)
    ruled_out: set[str] = field(default_factory=set)
    there: bool = False
    doubt: bool = False
    past: bool = False
    other: bool = False

    @property
    def elsewhere(self) -> bool:
        """Whether it is no finding of the writer's own, now."""
        return self.past or self.other

    @property
    def bare(self) -> bool:
        """Whether it only names the criterion."""
        return not self.given and not self.ruled_out

    @property
    def absent(self) -> bool:
        """Whether it says that the criterion is absent."""
        return self.given == [frozenset((ABSENT,))]

    @property
    def open(self) -> bool:
        """Whether a word could still say which value it is."""
        return not self.given or (bool(self.given) and len(frozenset.intersection(*self.given)) > 1)

    def deny(self, given: Sequence[frozenset[str]]) -> None:
        """Say that the structure is not there, or only that it has not the values given."""
        if given and len(CRITERIA[self.criterion].values) > 2 and list(given) != [frozenset((ABSENT,))]:
            self.ruled_out.update(*given)
            self.given = []
        else:
            self.given = [frozenset((ABSENT,))]
