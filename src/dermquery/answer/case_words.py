"""A case in words and numbers: its fields, its image, and how it compares with a query."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

from dermquery.answer.language import _, number
from dermquery.answer.words import TITLES, diagnosis_title, field_words
from dermquery.data.case import CASE_FIELDS, Case

__all__ = ["Comparison", "Fact", "Measure", "by_image", "case_facts", "image_alt", "origin"]

_NEARLY_ALL = 0.999
"""Shares from here on are told apart by more digits."""


@dataclass(frozen=True)
class Comparison:
    """A criterion of the checklist: what query and case say, None where one says nothing.

    Attributes:
        likely: how likely the case has what was asked by its image, where nobody recorded the criterion.
    """

    title: str
    asked: str | None
    held: str | None
    likely: float | None = None

    @property
    def same(self) -> bool | None:
        """Whether they agree; None unless both say something."""
        return None if self.asked is None or self.held is None else self.asked == self.held

    @property
    def kind(self) -> str:
        """Asked and ``shared``, asked and ``differing``, ``recorded`` only, ``likely`` by the image, or ``unknown``."""
        if self.same is not None:
            return "shared" if self.same else "differing"
        return "recorded" if self.held else "unknown" if self.likely is None else "likely"

    @property
    def case_words(self) -> str | None:
        """What is known of the case: the recorded value, else how likely the query's is by the image; or None."""
        if self.held or self.likely is None:
            return self.held
        return by_image(self.likely)

    @property
    def words(self) -> str:
        """The same in a few words: ``streaks: regular (asked: irregular)``."""
        values = {"held": self.held, "asked": self.asked, "percent": number(100 * (self.likely or 0))}
        words = {
            "shared": _("%(held)s, as asked"),
            "differing": _("%(held)s (asked: %(asked)s)"),
            "recorded": "%(held)s",
            "likely": _("%(asked)s? Not recorded; %(percent)s %% by the image"),
            "unknown": _("not recorded"),
        }
        return f"{self.title}: {words[self.kind] % values}"


@dataclass(frozen=True)
class Fact:
    """What a case has in one field.

    Attributes:
        name: of the field, as tables, filters and JSON have it.
        title: what people call it.
        value: as it was recorded; None if it was not.
        words: the same for people.
    """

    name: str
    title: str
    value: str | float | date | None
    words: str | None


@dataclass(frozen=True)
class Measure:
    """A similarity by its name.

    Attributes:
        closer_than: the share of the base's cases that are less alike to the query; None where it is not known.
    """

    name: str
    value: float
    closer_than: float | None = None

    @property
    def words(self) -> str:
        """With three digits; findings as the share of those asked for, never rounded up to all."""
        return f"{math.floor(self.value * 100 + 1e-3)} %" if self.name == "findings" else number(self.value, 3)

    @property
    def percent(self) -> str | None:
        """The share of cases that are less alike; never rounded up to all of them."""
        if self.closer_than is None:
            return None
        digits = 1 if self.closer_than < _NEARLY_ALL else 3
        return f"{number(math.floor(self.closer_than * 100 * 10**digits) / 10**digits, digits)} %"

    @property
    def brief(self) -> str:
        """What people read first: the share of cases, then the number itself."""
        return self.words if self.percent is None else f"{self.percent} ({self.words})"

    @property
    def bar(self) -> float:
        """How much of a bar is filled, from 0 to 1; of a negative similarity nothing is."""
        return min(max(self.value if self.closer_than is None else self.closer_than, 0.0), 1.0)


def by_image(likely: float) -> str:
    """How likely the model finds, by the image, what nobody recorded."""
    return _("%(percent)s %% by the image") % {"percent": number(100 * likely)}


def image_alt(case: Case) -> str:
    """A case's image in words, for those who cannot see it."""
    said = {"id": case.case_id, "diagnosis": diagnosis_title(case.diagnosis)}
    if case.is_clinical:
        return _("Clinical photograph of case %(id)s, %(diagnosis)s") % said
    return _("Dermoscopic image of case %(id)s, %(diagnosis)s") % said


def origin(case: Case) -> str:
    """Whose the image is, which a licence wants said wherever it is shown: source, licence, attribution; or empty."""
    return " · ".join(words for name in ("source", "licence", "attribution") if (words := field_words(case, name)))


def case_facts(case: Case) -> tuple[Fact, ...]:
    """Every field of a case that has a title, in the order in which people see them."""
    return tuple(
        Fact(name, _(title), CASE_FIELDS[name].of(case), field_words(case, name)) for name, title in TITLES.items()
    )
