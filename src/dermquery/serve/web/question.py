"""What a person asks on the page, and the questions that are kept for them, so that an address restores one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dermquery.data.case import Query
from dermquery.data.checklist import CRITERIA
from dermquery.data.findings import Findings
from dermquery.serve.kept import Kept
from dermquery.serve.uploads import Crop, read_crop
from dermquery.serve.web.address import Fields

__all__ = ["LONGEST_TEXT", "Asked", "AskedQuestions", "Question"]

LONGEST_TEXT = 2000
"""Characters of free text that count."""
_PER_OWNER, _OWNERS = 100, 2000
_HOURS = 12 * 3600.0


@dataclass(frozen=True)
class Question:
    """A query, as the form holds it.

    Attributes:
        image: key of the uploaded image, if there is one (:mod:`dermquery.serve.uploads`).
        turn: quarter turns of it, clockwise.
        crop: the part of it to search with; None for the whole.
        like: id of a case to search with, in place of image, text and terms.
        back: key of the query from which that one was chosen.
        text, terms: words, and criteria given as terms.
        dropped: criteria that the text seems to give and that do not count.
        without_patient, without_lesion: what must not be found.
        relevant, irrelevant: ids of marked cases that move the query.
    """

    image: str = ""
    turn: int = 0
    crop: Crop | None = None
    like: str = ""
    back: str = ""
    text: str = ""
    terms: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    without_patient: str = ""
    without_lesion: str = ""
    relevant: tuple[str, ...] = ()
    irrelevant: tuple[str, ...] = ()

    @classmethod
    def of(cls, form: Fields) -> Question:
        """The question of the form, without marks; what is not valid is ignored."""
        given = {name: str(form.get(f"term.{name}") or "") for name in CRITERIA}
        turn = str(form.get("turn") or "0")
        return cls(
            image=str(form.get("image") or "")[:100],
            turn=int(turn) % 4 if turn.isdecimal() else 0,
            crop=read_crop(str(form.get("crop") or "")),
            like=str(form.get("like") or "")[:2000],
            back=str(form.get("back") or "")[:100],
            text=str(form.get("text") or "")[:LONGEST_TEXT],
            terms={name: value for name, value in given.items() if value in CRITERIA[name].values},
            dropped=tuple(name for name in CRITERIA if name in form.getlist("drop")),
            without_patient=str(form.get("without_patient") or "").strip()[:200],
            without_lesion=str(form.get("without_lesion") or "").strip()[:200],
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to search with."""
        return not (self.image or self.like or self.text.strip() or self.terms)

    @property
    def reading(self) -> Findings:
        """What text and terms say together, with what is dropped."""
        return Query(text=self.text or None, checklist=self.terms).reading

    @property
    def counted(self) -> dict[str, str]:
        """The criteria that count."""
        left = self.reading.checklist
        return {name: value for name, value in left.items() if name in self.terms or name not in self.dropped}

    def words(self) -> tuple[str | None, dict[str, str]]:
        """Text and terms to encode. A finding that was dropped is left out with the text that holds it."""
        dropped = set(self.dropped) & (set(self.reading.checklist) - set(self.terms))
        return (None, self.counted) if dropped else (self.text.strip() or None, dict(self.terms))

    def marked(self, relevant: tuple[str, ...], irrelevant: tuple[str, ...]) -> Question:
        """The same, moved by marks of hits."""
        return replace(self, relevant=relevant, irrelevant=irrelevant)

    def same_as(self, other: Question) -> bool:
        """Whether both ask for the same, whatever is marked; then marks of one go with the other."""
        return _unmarked(self) == _unmarked(other)


def _unmarked(question: Question) -> tuple[Any, ...]:
    own = (question.image, question.turn, question.crop) if question.image else ()
    return (question.like, own, question.words(), question.without_patient, question.without_lesion)


@dataclass(frozen=True)
class Asked:
    """A question that was answered.

    Attributes:
        key: names it in addresses, for its owner.
        question: itself.
        prepared: key of the encoded query, which is kept for a shorter time.
        title: in a few words, for the list of the last searches.
    """

    key: str
    question: Question
    prepared: str
    title: str


class AskedQuestions:
    """The last questions of each owner, in memory: an address restores one, and the page lists them."""

    def __init__(self, idle: float = _HOURS) -> None:
        self._owners = Kept[str, OrderedDict[str, Asked]](_OWNERS, idle=idle)

    def put(self, owner: str, asked: Asked) -> Asked:
        """Keep a question as the owner's last."""
        with self._owners.lock:
            own = self._owners.get(owner) or self._owners.put(owner, OrderedDict())
            own.pop(asked.key, None)
            own[asked.key] = asked
            while len(own) > _PER_OWNER:
                own.popitem(last=False)
        return asked

    def get(self, owner: str, key: str) -> Asked | None:
        """A question of this owner; None if it is not kept, or is somebody else's."""
        with self._owners.lock:
            own = self._owners.get(owner)
            return None if own is None else own.get(key)

    def last(self, owner: str, most: int) -> list[Asked]:
        """The owner's last questions, the latest first."""
        with self._owners.lock:
            return list(reversed((self._owners.get(owner) or OrderedDict()).values()))[:most]

    def forget(self, owner: str) -> None:
        """Erase the owner's questions."""
        with self._owners.lock:
            self._owners.pop(owner)
