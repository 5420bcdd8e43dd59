"""The words of sources brought to those of the project, field by field; what has no counterpart stays as it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from dermquery.data.case import Case
from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.data.vocabulary.sites import SITES
from dermquery.data.vocabulary.spelling import folded, is_doubted, word_lists

__all__ = ["Reworded", "is_missing", "recorded_as", "reworded", "says_nothing", "skin_type", "word_for"]

_ROMAN = ("I", "II", "III", "IV", "V", "VI")
_OF_FITZPATRICK = ("fitzpatrick", "fst", "hauttyp", "huidtype", "phototype", "fototype", "fototyp", "typ", "type")
_SCALES = dict.fromkeys(_OF_FITZPATRICK, ("Fitzpatrick", 1, 6)) | {"monk": ("Monk", 1, 10)}
_SCALES |= {"mst": ("Monk", 1, 10), "milk10k": ("MILK10k", 0, 5)}
_SCALED = re.compile(r"(?:(?P<scale>[a-z][a-z0-9]*) )?(?:(?:skin )?(?:type|typ|tone) )?(?P<step>[ivx]+|\d+)(?: 0)?")


def recorded_as(field: str) -> str:
    """The extra column that keeps how a field was spelled before."""
    return f"{field}_as_recorded"


def is_missing(written: str) -> bool:
    """Whether a word says that nothing is known: ``unknown``, ``n/a``, ``keine Angabe``."""
    return folded(written) in _missing()


def says_nothing(field: str, written: str) -> bool:
    """Whether a word of a field says that nothing is known: as everywhere, or of a place that it is on the skin."""
    return is_missing(written) or (field == "site" and SITES.is_root(written))


def word_for(field: str, written: str) -> str | None:
    """The project's word for another spelling of it; None for a field or a word that has none.

    >>> word_for("sex", "männlich"), word_for("licence", "CC BY-NC 4.0"), word_for("sex", "sometimes")
    ('male', 'CC-BY-NC', None)
    """
    if field == "site":
        return SITES.named(written)
    if field == "diagnosis_path":
        return DIAGNOSES.named(written)
    if field == "skin_type":
        return skin_type(written)
    return None if is_doubted(written) else _spellings().get(field, {}).get(folded(written))


def skin_type(written: str, scale: str = "") -> str | None:
    """A skin type with its scale: ``Fitzpatrick III``, ``Monk 4``, ``MILK10k 5``; None without a scale or a step of it.

    Args:
        written: with its scale, or a mere step where ``scale`` says of what; Roman numbers are Fitzpatrick's.
        scale: "Fitzpatrick", "Monk" or "MILK10k".
    """
    match = _SCALED.fullmatch(folded(written))
    if match is None:
        return None
    step, named = match["step"], match["scale"] or folded(scale)
    if not named and not step.isdigit():
        named = "fitzpatrick"
    if named not in _SCALES:
        return None
    name, least, most = _SCALES[named]
    number = int(step) if step.isdigit() else _ROMAN.index(step.upper()) + 1 if step.upper() in _ROMAN else -1
    if not least <= number <= most:
        return None
    return f"{name} {_ROMAN[number - 1] if name == 'Fitzpatrick' else number}"


_SHOWN = 8
_REMEMBERED = 4096
"""Words whose reading is remembered: a table of many rows has few of them."""
_FIELDS = ("sex", "site", "laterality", "confirmed_by", "image_type", "polarisation", "contact", "skin_type", "licence")


@dataclass(frozen=True)
class Reworded:
    """Cases in the project's words.

    Attributes:
        cases: in their order.
        unknown: by field, the words that have no counterpart and stay, with their counts. Under ``diagnosis_path`` the
            diagnoses that are in no place of the hierarchy.
    """

    cases: tuple[Case, ...]
    unknown: Mapping[str, Counter[str]]

    @property
    def notes(self) -> tuple[str, ...]:
        """The same for people, a line for each field."""
        return tuple(
            f"{'diagnosis' if field == 'diagnosis_path' else field}: "
            + ", ".join(f"{word!r} ({count:,})" for word, count in found.most_common(_SHOWN))
            + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
            + (" without a place in the hierarchy of diagnoses" if field == "diagnosis_path" else " kept as written")
            for field, found in self.unknown.items()
        )


def reworded(cases: Iterable[Case]) -> Reworded:
    """Bring the words of cases to the project's, and place their diagnoses in the hierarchy.

    Another spelling is kept in ``extra`` (:func:`recorded_as`). The side that a place says ("Rücken li.") is its
    laterality where none was recorded; another one that was stays, and is told. A diagnosis is placed by its own word,
    else by its label; one that was placed already stays where it is, and neither word nor label changes, unless it says
    that nothing is known.
    """
    unknown: dict[str, Counter[str]] = {}
    return Reworded(tuple(_case(case, unknown) for case in cases), unknown)


def _case(case: Case, unknown: dict[str, Counter[str]]) -> Case:
    changes: dict[str, str | None] = {}
    extra = dict(case.extra)
    for field in _FIELDS:
        written = getattr(case, field)
        if not written:
            continue
        missing, word = _read_word(field, written)
        if word is None and not missing:
            unknown.setdefault(field, Counter())[written] += 1
        elif word != written:
            changes[field] = word
            if not is_missing(written):
                extra.setdefault(recorded_as(field), written)
    changes |= {name: None for name in ("diagnosis", "fine_diagnosis") if is_missing(getattr(case, name) or "x")}
    _add_side(case, changes, unknown)
    if (path := _path(case, unknown)) != case.diagnosis_path:
        changes["diagnosis_path"] = path
        if case.diagnosis_path:
            extra.setdefault(recorded_as("diagnosis_path"), case.diagnosis_path)
    return case.model_copy(update={**changes, "extra": extra}) if changes else case


def _add_side(case: Case, changes: dict[str, str | None], unknown: dict[str, Counter[str]]) -> None:
    """The side that a written place says, where no other one was recorded."""
    place = SITES.read(case.site or "")
    recorded = changes.get("laterality", case.laterality)
    if place is None or place.side in (None, recorded):
        return
    if recorded:
        unknown.setdefault("laterality", Counter())[f"{case.laterality}, but the site is {case.site}"] += 1
    else:
        changes["laterality"] = place.side


def _path(case: Case, unknown: dict[str, Counter[str]]) -> str | None:
    if case.diagnosis_path:
        if (path := _placed(case.diagnosis_path, "")) is None:
            unknown.setdefault("diagnosis_path", Counter())[case.diagnosis_path] += 1
        return path or case.diagnosis_path
    words = [word for word in (case.fine_diagnosis, case.diagnosis) if word and not is_missing(word)]
    for word in words:
        if (path := _placed(word, case.source or "")) is not None:
            return path
    if words:
        unknown.setdefault("diagnosis_path", Counter())[words[0]] += 1
    return None


@lru_cache(maxsize=_REMEMBERED)
def _read_word(field: str, written: str) -> tuple[bool, str | None]:
    """Whether a word says that nothing is known, and the project's word for it."""
    return (True, None) if says_nothing(field, written) else (False, word_for(field, written))


@lru_cache(maxsize=_REMEMBERED)
def _placed(word: str, source: str) -> str | None:
    return DIAGNOSES.named(word, source)


@cache
def _missing() -> frozenset[str]:
    words = word_lists()["not recorded"]
    assert isinstance(words, list)  # noqa: S101 - our own file
    return frozenset(map(folded, ["", *words]))


@cache
def _spellings() -> Mapping[str, Mapping[str, str]]:
    """By field and folded spelling, the word."""
    fields = {name: words for name, words in word_lists().items() if isinstance(words, dict)}
    return {
        name: {folded(spelling): word for word, others in words.items() for spelling in (word, *others)}
        for name, words in fields.items()
    }
