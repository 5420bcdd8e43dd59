"""Diagnoses that are written as codes: of the ICD-10 with its national editions, and the morphology of the ICD-O-3.

A code is read as far as its meaning goes: C44.3 is some malignant neoplasm of the skin of the face, which may be a
basal cell carcinoma or another, so it is "Malignant". Its digit of the place is no site of ours, for the ICD counts the
buttock to the trunk.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache

from dermquery.data.vocabulary.spelling import rows_of

__all__ = ["anywhere", "code_beside", "code_of", "family", "path_of_code", "place_said", "without_staging"]

_ICD10 = re.compile(
    r"(?:ICD[- ]?10(?:[- ]?(?:GM|CM|WHO))?[: ]*)?([A-Z] ?\d[\dA])(?:[.,]?(\d{1,4}))?(?:\.?[-X*])*"
    r"(?:\s*(?:G[LRB]?|[LRB]))?"
)
"""With G, "gesichert", as German tables mark it, and a side; V, Z and A say that it is suspected, past or excluded."""
_ICDO3 = re.compile(r"(?:ICD[- ]?O(?:[- ]?3(?:\.\d)?)?[: ]*)?(?:M?[- ]?([89]\d{3})/(\d)\d?|M-?([89]\d{3})(\d))")
"""With a sixth digit of the grade; without a stroke only behind the M of pathologists."""
_STAGING = re.compile(
    r"(.*?\w\)?)[\s,;(/-]+(?:p?T[1-4][a-d]?(?:\s?p?N[0-3xX][a-c]?)?(?:\s?c?M[01xX][a-d]?)?|R[012]|G[1-4]"
    r"|(?:Clark[\s-]?)?(?:Level|Clark)\s?(?:[1-5]|I{1,3}|IV|V)|(?:Stadium|stage)\s?(?:[0-4]|I{1,3}|IV)[a-dA-D]?"
    r"|(?:TD|Breslow|Tumordicke)\s?:?\s?\d+(?:[.,]\d+)?\s?(?:mm)?)\)?"
)
_LONGEST = 120
"""Characters of a diagnosis; what is longer is a report."""
_BY_PLACE = ("C43", "C44", "D03", "D04", "D22", "D23")
"""Categories whose first digit behind the point is a place."""
_PLACES = {
    "0": "site=lip", "1": "site=eyelid", "2": "site=ear", "3": "site=face", "4": "site=scalp,neck", "5": "site=trunk",
    "6": "site=upper extremity", "7": "site=lower extremity",
}  # fmt: skip


def code_of(written: str) -> str | None:
    """A code as it is printed, ``C43.5`` or ``8720/3``; None if it is none that is known.

    >>> code_of("c43.5 G"), code_of("M-87203"), code_of("C43.9 V"), code_of("Melanom")
    ('C43.5', '8720/3', None, None)
    """
    text = written.strip().upper()
    codes = []
    if match := _ICD10.fullmatch(text):
        category = match[1].replace(" ", "")
        codes.append(f"{category}.{match[2]}" if match[2] else category)
    if match := _ICDO3.fullmatch(text):  # M87203 has the form of both
        codes.append(f"{match[1] or match[3]}/{match[2] or match[4]}")
    return next((code for code in codes if path_of_code(code)), None)


def code_beside(written: str) -> tuple[str, str] | None:
    """A code in front of words or behind them, and the words: "C44.3 Basaliom", "Basaliom (C44.3)"; else None."""
    words = re.sub(r"\b([A-Za-z]) (?=\d\d)", r"\1", re.sub(r"[()\[\]]", " ", written)).split()
    for code, rest in ((words[:1], words[1:]), (words[-1:], words[:-1])):
        if rest and (found := code_of(code[0].strip(",;:"))):
            return found, " ".join(rest).strip(" ,;:–-")
    return None


def without_staging(written: str) -> str:
    """Words without what pathologists write behind them: stage, margins, grade, level, thickness.

    >>> without_staging("Melanom, pT1a, TD 0,6 mm"), without_staging("SCC G2 R0"), without_staging("pT1a")
    ('Melanom', 'SCC', 'pT1a')
    """
    bare = written
    while len(bare) <= _LONGEST and (match := _STAGING.fullmatch(bare)):
        bare = match[1]
    return bare


def path_of_code(code: str) -> str | None:
    """The place in the hierarchy as far as a code says it."""
    return next((path for pattern, path in _read() if fnmatchcase(code, pattern)), None)


def family(code: str) -> str:
    """What codes have in common that may stand below one another: the category, or the behaviour of the ICD-O."""
    return code.partition("/")[2] if "/" in code else code.partition(".")[0]


def place_said(code: str) -> str:
    """The condition on the site that a code's digit of the place says; empty if it says none.

    >>> place_said("C43.5"), place_said("C43.9"), place_said("L57.0")
    ('site=trunk', '', '')
    """
    category, _, digits = code.partition(".")
    return _PLACES.get(digits[:1], "") if category in _BY_PLACE else ""


def anywhere(code: str) -> str:
    """A code without its place, also without one that says "not specified" or "overlapping".

    >>> anywhere("C43.5"), anywhere("C44.31"), anywhere("L57.0"), anywhere("D22.9")
    ('C43', 'C44.91', 'L57.0', 'D22')
    """
    category, _, digits = code.partition(".")
    if category not in _BY_PLACE or not digits:
        return code
    kind = digits[1:2]  # of the ICD-10-CM's C44: a basal cell carcinoma, a squamous cell carcinoma
    return f"{category}.9{kind}" if category == "C44" and kind in ("1", "2") else category


@cache
def _read() -> Sequence[tuple[str, str]]:
    """Patterns of codes in their order, of which the first that fits counts."""
    return tuple((row["code"], row["path"]) for row in rows_of("codes_read.csv"))
