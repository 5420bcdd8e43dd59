"""The language in which people are answered: English as it stands in the code, others from catalogues of gettext.

Texts of answers, reports and page are marked where they stand, with :func:`_` and :func:`ngettext`. The layers below
know of no language: their messages are English sentences with values in them, and :func:`said` finds the sentence of
the catalogue that a message is an instance of. ``tests/catalogues.py`` collects all of them into ``languages/*.po``,
which are read as they are.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = [
    *("ENGLISH", "LANGUAGES", "Language", "_", "chosen", "current", "day", "language", "ngettext", "number", "said"),
    "speaking",
]

LANGUAGES: Mapping[str, str] = {"en": "English", "de": "Deutsch", "nl": "Nederlands"}
"""The languages by their codes, each by its own name."""
FOLDER = Path(__file__).parent / "languages"
_SLOT = re.compile(r"\\\{\d\\\}")
_NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?")
_LONGEST = 2000
"""Characters of a message that is looked for among sentences; longer ones quote somebody."""


class Language:
    """English: every text as it stands in the code.

    Attributes:
        code: as HTML and HTTP write it.
    """

    code = "en"

    def gettext(self, text: str) -> str:
        """A text in this language."""
        return text

    def ngettext(self, one: str, many: str, n: int) -> str:
        """The text for one, or for many."""
        return one if n == 1 else many

    def said(self, message: str) -> str:
        """A message of the layers below in this language; itself if the catalogue has no such sentence."""
        return message

    def number(self, value: float, digits: int = 0) -> str:
        """A number as people write it: ``12,345.60``."""
        return f"{value:,.{digits}f}"

    def day(self, value: datetime.date) -> str:
        """A day as people write it; in English, which has two ways, by ISO 8601."""
        return value.isoformat()


class _Translated(Language):
    """A language with a catalogue."""

    def __init__(self, code: str) -> None:
        from babel.messages.pofile import read_po

        self.code = code
        with (FOLDER / f"{code}.po").open("rb") as file:
            catalogue = read_po(file, locale=code)
        self._texts: dict[str, Any] = {}
        sentences = []
        for message in catalogue:
            one = message.id if isinstance(message.id, str) else message.id[0]
            self._texts[one] = message.string
            if "sentence" in message.auto_comments:
                sentences.append((re.escape(one), str(message.string)))
        sentences.sort(key=lambda pair: -len(pair[0]))  # the one that says most is the one that is meant
        self._sentences = [(re.compile(_SLOT.sub("(.*?)", one), re.DOTALL), other) for one, other in sentences]
        self._texts.pop("")  # the head of the file

    def gettext(self, text: str) -> str:
        found = self._texts.get(text)
        return found if isinstance(found, str) and found else text

    def ngettext(self, one: str, many: str, n: int) -> str:
        found = self._texts.get(one)
        return found[n != 1] if isinstance(found, tuple) and all(found) else super().ngettext(one, many, n)

    def said(self, message: str) -> str:
        if message in self._texts or len(message) > _LONGEST:
            return self.gettext(message)
        if number := _NUMBER.fullmatch(message):
            return self.number(float(message.replace(",", "")), len(number[1] or ".") - 1)
        for pattern, sentence in self._sentences:
            if match := pattern.fullmatch(message):
                return sentence.format(*map(self.said, match.groups()))
        return message

    def number(self, value: float, digits: int = 0) -> str:
        from babel.numbers import format_decimal

        pattern = "#,##0" + (f".{'0' * digits}" if digits else "")
        return format_decimal(value, format=pattern, locale=self.code)

    def day(self, value: datetime.date) -> str:
        from babel.dates import format_date

        return format_date(value, format="medium", locale=self.code)


ENGLISH = Language()
_CURRENT: ContextVar[Language] = ContextVar("language", default=ENGLISH)


def current() -> Language:
    """The language of whoever is being answered; English for the command line and for programs that ask for none."""
    return _CURRENT.get()


@contextmanager
def speaking(spoken: Language) -> Iterator[None]:
    """Whatever is said within is said in a language."""
    token = _CURRENT.set(spoken)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@lru_cache
def language(code: str) -> Language:
    """The language of a code of :data:`LANGUAGES`; KeyError for another."""
    return ENGLISH if LANGUAGES[code] == "English" else _Translated(code)


def chosen(preferred: str, accepted: str) -> Language:
    """The language of somebody who may have chosen one, else by what their browser accepts (RFC 9110, 12.5.4).

    >>> [chosen("", accepted).code for accepted in ("de-AT, en;q=0.9", "fr, nl;q=0.5, en;q=0.4", "fr", "en, de;q=0")]
    ['de', 'nl', 'en', 'en']
    """
    if preferred in LANGUAGES:
        return language(preferred)
    wanted: list[tuple[float, int, str]] = []
    for item in accepted[:500].lower().split(","):
        tag, _semicolon, weight = item.partition(";")
        match = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", weight or "q=1")
        wanted.append((-float(match[1]) if match else 0.0, len(wanted), tag.strip().partition("-")[0]))
    return language(next((tag for weight, _place, tag in sorted(wanted) if weight and tag in LANGUAGES), "en"))


def _(text: str) -> str:
    """A text in the reader's language."""
    return current().gettext(text)


def ngettext(one: str, many: str, n: int) -> str:
    """The text for one, or for many."""
    return current().ngettext(one, many, n)


def said(message: str) -> str:
    """A message of the layers below in the reader's language."""
    return current().said(message)


def number(value: float, digits: int = 0) -> str:
    """A number as the reader writes it."""
    return current().number(value, digits)


def day(value: datetime.date) -> str:
    """A day as the reader writes it."""
    return current().day(value)
