"""A grammar of report sentences in English, each with the reading that it was made of, and of ways to write them."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Mapping
from typing import NamedTuple

from dermquery.data.checklist import CRITERIA

NOUNS: Mapping[str, tuple[str, ...]] = {
    "pigment_network": ("network", "pigment network", "reticulation"),
    "streaks": ("streaks", "pseudopods"),
    "pigmentation": ("pigmentation",),
    "regression_structures": ("regression", "regression structures"),
    "dots_and_globules": ("dots and globules", "globules"),
    "blue_whitish_veil": ("blue-whitish veil", "blue-white veil", "veil"),
    "vascular_structures": ("vessels", "vascular structures"),
}
WITH_VALUE: Mapping[str, tuple[str, ...]] = {
    "typical": ("typical {noun}", "{noun}: typical", "{noun} - typical", "the {noun} is typical"),
    "atypical": ("atypical {noun}", "{noun}: atypical", "the {noun} looks atypical", "clearly atypical {noun}"),
    "regular": ("regular {noun}", "{noun}: regular", "regularly distributed {noun}"),
    "irregular": ("irregular {noun}", "{noun}: irregular", "{noun}, irregular", "the {noun} is irregular"),
    "present": ("{noun}", "{noun} present", "{noun}: present", "there is a {noun}", "{noun}: yes", "{noun} (+)"),
    "blue areas": ("peppering", "{noun}: blue areas"),
    "white areas": ("scar-like depigmentation", "{noun}: white areas"),
    "combinations": ("white and blue regression", "peppering and scar-like depigmentation"),
    "dotted": ("dotted vessels", "vessels: dotted", "vessels are dotted"),
}
POSITIVE = (*WITH_VALUE["typical"], "{noun}", "a {noun}", "the {noun}")
DENIED = (
    "no {noun}", "without {noun}", "{noun} absent", "{noun}: absent", "{noun} is not present", "{noun} isn't seen",
    "{noun} not visible", "absence of {noun}", "no evidence of {noun}", "{noun} was ruled out", "{noun}: none",
    "{noun} has disappeared", "{noun} cannot be found", "lacks {noun}", "{noun} (-)", "{noun}=0", "{noun}: N",
    "{noun} -ve", "never any {noun}", "{noun} is gone", "{noun} no longer seen", "[ ] {noun}", "{noun} is missing",
    "devoid of {noun}", "{noun} doesn't exist", "{noun} could not be identified",
)  # fmt: skip
PLACES = (
    "in this lesion", "in the image", "on this photograph", "in this picture", "on dermoscopy", "at the periphery",
    "anywhere in the lesion", "in this part of the lesion", "in either half", "inside the lesion", "in both images",
    "upon examination", "at all", "for this lesion", "despite careful search", "as far as I can tell",
)  # fmt: skip
DOUBTED = (
    "possible {noun}", "{noun}?", "probable {noun}", "{noun} cannot be excluded", "suspicious for {noun}", "{noun} (?)",
    "perhaps {noun}", "{noun} questionable", "cannot rule out {noun}", "{noun} may be present", "?{noun}", "{noun} +/-",
)  # fmt: skip
SEPARATORS = ("; ", ". ", ".\n", "\n", " - but ", ";\n", ". However, ")


class Part(NamedTuple):
    """A part of a sentence: its words and what it says of a criterion, a value or "?"."""

    text: str
    criterion: str
    says: str


def part(rng: random.Random, criterion: str) -> Part:
    """A part that gives the criterion a value, denies it or doubts it."""
    noun = rng.choice(NOUNS[criterion])
    kind = rng.random()
    if kind < 0.35:
        return Part(rng.choice(DENIED).format(noun=noun), criterion, "absent")
    if kind < 0.5:
        return Part(rng.choice(DOUBTED).format(noun=noun), criterion, "?")
    values = [value for value in CRITERIA[criterion].values[1:] if value in WITH_VALUE]
    if not values:
        value = rng.choice(CRITERIA[criterion].values[1:])
        return Part(f"{value} {noun}", criterion, value)
    value = rng.choice(values)
    return Part(rng.choice(WITH_VALUE[value]).format(noun=noun), criterion, value)


def parts(rng: random.Random) -> list[Part]:
    """One to five parts about different criteria."""
    return [part(rng, criterion) for criterion in rng.sample(list(CRITERIA), rng.randint(1, 5))]


def joined(pieces: list[Part], separators: list[str]) -> str:
    """The parts as one text."""
    text = pieces[0].text
    for separator, piece in zip(separators, pieces[1:], strict=True):
        text += separator + piece.text
    return text


def _in_words(rng: random.Random, text: str, sign: str) -> str:
    """Put a sign into one in three words."""
    words = text.split(" ")
    for at, word in enumerate(words):
        if len(word) > 4 and word.isalpha() and rng.random() < 0.35:
            cut = rng.randint(2, len(word) - 2)
            words[at] = word[:cut] + sign + word[cut:]
    return " ".join(words)


def _wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else "\u3000" if c == " " else c for c in text)


def _wrapped(rng: random.Random, text: str) -> str:
    """Break a line inside a phrase: after "no" and after an adjective, where no one could end a statement."""
    for word in ("no", "without", "atypical", "irregular", "typical", "regular", "possible", "dotted"):
        if f"{word} " in text and rng.random() < 0.5:
            return text.replace(f"{word} ", f"{word}\n", 1) if not text.startswith("[") else text
    return text


VARIANTS: Mapping[str, Callable[[random.Random, str], str]] = {
    "apostrophes": lambda rng, text: text.replace("'", rng.choice("’‘ʼ´′＇")),
    "dashes": lambda rng, text: text.replace("-", rng.choice("‐‑‒–—−")),
    "soft hyphens": lambda rng, text: _in_words(rng, text, "\u00ad"),
    "invisible spaces": lambda rng, text: _in_words(rng, text, rng.choice("\u200b\u200c\u200d\u2060\ufeff")),
    "divided at the line's end": lambda rng, text: _in_words(rng, text, rng.choice(("-\n", "\u00ad\n", "-\r\n"))),
    "wide spaces": lambda rng, text: text.replace(" ", rng.choice("\u00a0\u2009\u202f\u2003")),
    "many spaces": lambda rng, text: text.replace(" ", "  "),
    "full width": lambda rng, text: _wide(text),
    "decomposed": lambda rng, text: unicodedata.normalize("NFD", text),
    "capitals": lambda rng, text: text.upper(),
    "title case": lambda rng, text: text.capitalize(),
    "wrapped lines": _wrapped,
    "quotes": lambda rng, text: f"“{text}”",
    "byte order mark": lambda rng, text: "\ufeff" + text,
    "line ends of Windows": lambda rng, text: text.replace("\n", "\r\n"),
}
