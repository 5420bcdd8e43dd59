"""Coded terms of body sites: SNOMED CT, as DICOM uses it, and the older codes that mean the same."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from dermquery.data.vocabulary.sites import SITES

__all__ = ["current_code", "meaning_of", "site_of"]

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


@lru_cache(maxsize=1)
def _meanings() -> dict[tuple[str, str], str]:
    """By code and scheme; of several terms for one code the shortest, which is the one that people use."""
    terms: dict[tuple[str, str], str] = {}
    known_to_dicom: dict[str, Any] = concepts
    for scheme in ("SCT", "DCM", "FMA"):
        for codes in known_to_dicom[scheme].values():
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


def site_of(value: str, scheme: str, meaning: str) -> str | None:
    """The site that a coded term names, in the words of the vocabulary.

    Args:
        value: of the code; empty for a mere word.
        scheme: that it belongs to.
        meaning: as the object has it.

    Returns:
        The standard's meaning, or else the object's, of a site that the vocabulary does not know; None for nothing and
        for the whole skin.
    """
    code, scheme = current_code(value, scheme)
    standard = meaning_of(code, scheme) or ""
    if SITES.is_root(f"{scheme} {code}") or SITES.is_root(meaning):
        return None
    for written in (f"{scheme} {code}", standard.removeprefix("Skin of "), meaning):
        if word := SITES.named(written):
            return word
    return standard or meaning or None
