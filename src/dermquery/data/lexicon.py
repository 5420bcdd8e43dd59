"""The vocabulary of dermoscopists as tokens, from which :mod:`dermquery.data.findings` assembles findings.

Sources: Kittler et al. 2016 (third consensus on terminology: metaphoric and descriptive terms), the definitions of
Argenziano et al. 1998, and common clinical shorthand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from dermquery.data.checklist import ABSENT, CRITERIA

__all__ = ["SHORTHAND", "Token", "lexicon", "vocabulary", "words"]

Kind = Literal["item", "quality", "no", "absent", "and", "or"]


@dataclass(frozen=True)
class Token:
    """A phrase with a meaning.

    Attributes:
        kind: ``item`` names a criterion, ``quality`` how it looks, ``no`` stands before what it denies and ``absent``
            usually after it; ``and``, ``or`` join.
        meanings: criterion to value; of a quality, to the value that it gives each criterion it can describe, and of
            an item to its value, empty for the bare criterion. Two-part values of pigmentation come as "diffuse …" or
            "… regular".
    """

    kind: Kind
    meanings: Mapping[str, str]


_ABBREVIATIONS = {
    "abs": "absent", "apn": "atypical network", "arb": "arborizing", "atyp": "atypical", "bwv": "veil",
    "comb": "combination",
    "diff": "diffuse", "glob": "globules", "globs": "globules", "irr": "irregular", "irreg": "irregular",
    "loc": "localized", "localised": "localized", "focal": "localized", "focally": "localized",
    "neg": "absent", "nil": "absent", "pig": "pigment", "pigm": "pigmentation", "pn": "network", "pos": "present",
    "pres": "present", "reg": "regular", "regr": "regression", "strks": "streaks", "telang":
    "telangiectasia", "tpn": "typical network", "typ": "typical", "vasc": "vessels", "vess": "vessels", "gray": "grey",
    "greyish": "grey", "grayish": "grey", "bluish": "blue", "whitish": "white", "netw": "network",
}  # fmt: skip

SHORTHAND: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), full)
    for pattern, full in (
        (r"\bd\s*[&/+]\s*g\b", " dots and globules "),
        (r"\bw\s*/\s*o\b", " without "),
        (r"\bw\s*/(?!\w)|\bw/(?=\s)", " with "),
        (r"\(\s*[-–−]\s*\)|(?<=\w)\s+[-–−](?=\s*(?:[,.;]|$))|(?<=[a-z])[-–−](?=\s*(?:[,.;]|$))", " absent "),
        (r"\(\s*\++\s*\)|(?<=\w)\s*\++(?=\s*(?:[,.;]|$))", " present "),
        (r"[&+]", " and "),
        (r"n't\b", " not "),
        (rf"\b({'|'.join(_ABBREVIATIONS)})\.", r"\1 "),  # its full stop ends no sentence
    )
)
"""Signs and joined letters, written out before a text is split into words."""

_QUALITIES: dict[str, dict[str, tuple[str, ...]]] = {
    "pigment_network": {
        "typical": ("typical", "regular", "delicate", "uniform", "fine", "even", "homogeneous", "normal", "orderly"),
        "atypical": ("atypical", "irregular", "broadened", "prominent", "thickened", "uneven", "broken", "disrupted",
                     "disorganised", "disorganized", "coarse", "asymmetric", "asymmetrical", "abnormal", "thick"),
    },
    "streaks": {
        "regular": ("regular", "symmetric", "symmetrical", "circumferential", "uniform", "even", "typical", "orderly",
                    "evenly", "radially symmetric"),
        "irregular": ("irregular", "asymmetric", "asymmetrical", "segmental", "uneven", "atypical", "unevenly"),
    },
    "dots_and_globules": {
        "regular": ("regular", "uniform", "even", "evenly", "symmetric", "symmetrical", "typical", "monomorphic",
                    "cobblestone", "orderly"),
        "irregular": ("irregular", "uneven", "unevenly", "asymmetric", "asymmetrical", "atypical", "eccentric",
                      "variable", "varying", "polymorphous", "different sizes", "various sizes", "differing size"),
    },
    "pigmentation": {
        "diffuse …": ("diffuse", "diffusely", "widespread", "generalised", "generalized"),
        "localized …": ("localized", "eccentric", "circumscribed"),
        "… regular": ("regular", "uniform", "even", "symmetric", "homogeneous", "typical", "evenly"),
        "… irregular": ("irregular", "uneven", "asymmetric", "patchy", "inhomogeneous", "atypical", "heterogeneous",
                        "unevenly"),
    },
    "regression_structures": {
        "blue areas": ("blue", "blue areas", "blue grey", "grey blue", "blue area", "blue grey areas"),
        "white areas": ("white", "white areas", "white area", "scar like", "scarlike", "white scar like"),
        "combinations": ("combinations", "combination", "combined", "mixed", "white and blue", "blue and white", "both",
                         "blue and white areas", "white and blue areas", "both white and blue", "both blue and white",
                         "both blue areas and white areas", "both white areas and blue areas", "both types",
                         "blue areas and white areas", "white areas and blue areas"),
    },
    "blue_whitish_veil": {"present": ("present", "visible", "seen")},
    "vascular_structures": {
        "arborizing": ("arborizing", "arborising", "branching", "branched", "tree like", "treelike", "ramified"),
        "comma": ("comma", "comma like", "comma shaped", "curved", "commas"),
        "hairpin": ("hairpin", "hairpin like", "looped", "hairpin shaped", "hairpins", "looping"),
        "within regression": ("within regression", "in regression", "within the regression", "inside regression",
                              "within regression structures", "in regression structures", "in the regression",
                              "within regression areas", "in regression areas", "within the regression area",
                              "within an area of regression", "within areas of regression", "inside the regression",
                              "within the regression areas", "within the regression structures"),
        "wreath": ("wreath", "wreath like", "crown", "crown like"),
        "dotted": ("dotted", "pinpoint", "dot", "punctate", "dot like"),
        "linear irregular": ("linear irregular", "irregular linear", "serpentine", "linear and irregular",
                             "irregular and linear", "linear irregularly shaped", "polymorphous", "linear serpentine"),
    },
}  # fmt: skip

_NO = (
    "no", "without", "not", "never", "neither", "lack of", "lacks", "absence of", "free of", "devoid of",
    "negative for", "no evidence of", "no sign of", "no signs of", "cannot see", "can not see", "do not see",
    "did not see", "does not show", "fails to show", "rather than", "excluding",
)  # fmt: skip
_ABSENT = (
    ABSENT, "lacking", "negative", "missing", "none", "not seen", "not present", "not visible", "not identified",
    "not observed", "not found", "not detected", "not appreciated", "not evident", "not there",
    "cannot be seen", "can not be seen", "could not be seen", "not recognisable", "not recognizable",
    "not discernible", "not apparent", "not noted", "lost", "not detectable",
)  # fmt: skip


def words(text: str) -> list[str]:
    """Lower-case words; hyphens, slashes and case never hide a term."""
    for pattern, full in SHORTHAND:
        text = pattern.sub(full, text)
    found = re.findall(r"[a-z0-9]+", text.lower())
    return [part for word in found for part in _ABBREVIATIONS.get(word, word).split()]


@cache
def lexicon() -> Mapping[tuple[str, ...], Token]:
    """Every phrase, as its words, with its token."""
    found: dict[tuple[str, ...], Token] = {}
    qualities: dict[tuple[str, ...], dict[str, str]] = {}
    for name, values in _QUALITIES.items():
        for value, phrases in values.items():
            for phrase in phrases:
                qualities.setdefault(tuple(words(phrase)), {})[name] = value
    found.update({phrase: Token("quality", meanings) for phrase, meanings in qualities.items()})
    for name, criterion in CRITERIA.items():
        for noun in (criterion.title, *criterion.synonyms):
            found[tuple(words(noun))] = Token("item", {name: ""})
        for value, phrases in criterion.terms.items():
            found.update({tuple(words(phrase)): Token("item", {name: value}) for phrase in phrases})
    joints: tuple[tuple[Kind, tuple[str, ...]], ...]
    joints = (("no", _NO), ("absent", _ABSENT), ("and", ("and", "as well as", "plus")), ("or", ("or", "nor")))
    for kind, phrases in joints:
        found.update({tuple(words(phrase)): Token(kind, {}) for phrase in phrases})
    return found


@cache
def vocabulary() -> tuple[str, ...]:
    """All words of the lexicon that are long enough to recognise despite a typing error."""
    return tuple(sorted({word for phrase in lexicon() for word in phrase if len(word) > 3}))
