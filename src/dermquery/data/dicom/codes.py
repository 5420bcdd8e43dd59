"""Coded terms of body sites: SNOMED CT, as DICOM uses it, and the older codes that mean the same."""

from __future__ import annotations

from functools import lru_cache

from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

__all__ = ["code_of_word", "current_code", "meaning_of", "site_of"]

_SNOMED = {"SCT": "SCT", "SNM3": "SRT", "SRT": "SRT", "99SDM": "SRT", "SNOMED-RT": "SRT"}
"""What coding schemes are called, and whose codes they are: SNOMED CT's, or those of SNOMED RT."""


def current_code(value: str, scheme: str) -> tuple[str, str]:
    """A code and its scheme, with SNOMED RT's taken to SNOMED CT.

    >>> current_code("T-02450", "SNM3")
    ('66643007', 'SCT')
    """
    scheme = _SNOMED.get(scheme.upper(), scheme.upper())
    if scheme != "SRT":
        return value, scheme
    return (mapping["SRT"][value], "SCT") if value in mapping["SRT"] else (value, "SRT")


_SITES = (4029, 4031)
"""Context groups of sites: those of dermatology, and the common ones."""


@lru_cache(maxsize=1)
def _meanings() -> dict[tuple[str, str], str]:
    """By code and scheme; of several terms for one code the shortest, which is the one that people use."""
    terms: dict[tuple[str, str], str] = {}
    for scheme in ("SCT", "DCM", "FMA"):
        for codes in concepts[scheme].values():
            for code, (meaning, _) in codes.items():
                known = terms.setdefault((code, scheme), meaning)
                terms[code, scheme] = min(known, meaning, key=len)
    return terms


def meaning_of(value: str, scheme: str) -> str | None:
    """What the standard calls a code; None if DICOM does not know it.

    >>> meaning_of("T-02450", "SRT")
    'Skin of back'
    """
    return _meanings().get(current_code(value, scheme))


@lru_cache(maxsize=1)
def _codes_of_words() -> dict[str, str]:
    """SNOMED CT's codes of dermatology's sites, then of the general regions, by their words without "skin of"."""
    words: dict[str, str] = {}
    for group in _SITES:
        for codes in concepts["SCT"].values():
            for code, (meaning, groups) in codes.items():
                if group in groups:
                    words.setdefault(meaning.removeprefix("Skin of ").casefold(), code)
    return words


def code_of_word(word: str) -> str | None:
    """SNOMED CT's code of a site that is written as a word, as BodyPartExamined has it.

    >>> code_of_word("BACK")
    '66643007'
    """
    return _codes_of_words().get(word.casefold())


def site_of(value: str, scheme: str, meaning: str) -> str | None:
    """The site that a coded term names; as it was written where the code is unknown, None for nothing."""
    return meaning_of(value, scheme) or meaning or None
