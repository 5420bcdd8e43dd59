"""What the words of a table mean: the words that are put in their place, and what came of each.

A map that finds nothing is a typing error, or the map of another table; a label that stands for several words may be
meant, or be two clinics' word for two things. Neither can be told apart from here, so both are said.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from dermquery.data.meant import did_you_mean
from dermquery.data.rows import CaseTableError

__all__ = ["ValueMaps", "WordMaps", "in_our_names"]

ValueMaps = Mapping[str, Mapping[str, str]]
"""By column, in our names or the table's: words of the table to the words that are meant; "" is "not recorded"."""
_NAMED = 8


def in_our_names(values: ValueMaps, columns: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The maps by our columns, also where they were given by the table's.

    Args:
        values: what was given.
        columns: the table's names mapped to ours.

    Raises:
        CaseTableError: one word is to mean two things.
    """
    found: dict[str, dict[str, str]] = {}
    for given, mapped in values.items():
        name = given if given in columns.values() else columns.get(given, given)
        words = found.setdefault(name, {})
        for theirs, ours in mapped.items():
            word = unicodedata.normalize("NFC", theirs.strip())
            if words.setdefault(word, ours) != ours:
                raise CaseTableError(f"{word!r} of {name} is mapped to {words[word]!r} and to {ours!r}; keep one")
    return found


class WordMaps:
    """Puts words in place of a row's; capitals do not matter where no word has them.

    Args:
        values: by the project's column, as :func:`in_our_names` gives them.
    """

    def __init__(self, values: ValueMaps) -> None:
        self._values = values
        self._folded = {name: _folded(mapped) for name, mapped in values.items()}
        self._seen: dict[str, Counter[str]] = {name: Counter() for name in values}

    def __call__(self, row: Mapping[str, str]) -> Mapping[str, str]:
        """The row with the words that are meant."""
        if not self._values:
            return row
        found = dict(row)
        for name in self._values:
            if cell := row.get(name):
                self._seen[name][cell] += 1
                found[name] = self._meant(name, cell)
        return found

    def notes(self) -> list[str]:
        """The maps that found nothing, and the words that now stand for several, a line for each column."""
        return [note for name in self._values for note in (*self._idle(name), *self._joined(name))]

    def _meant(self, name: str, cell: str) -> str:
        return self._values[name].get(cell, self._folded[name].get(cell.casefold(), cell))

    def _idle(self, name: str) -> list[str]:
        there = self._seen[name]
        capitals = {word.casefold() for word in there}
        folded = self._folded[name]
        idle = [
            word
            for word in self._values[name]
            if word not in there and not (word.casefold() in capitals and word.casefold() in folded)
        ]
        if not idle:
            return []
        meant = did_you_mean(idle[0], there) if len(idle) == 1 else ""
        has = ", ".join(repr(word) for word, _ in there.most_common(_NAMED)) + (", …" if len(there) > _NAMED else "")
        return [f"no row has {_some(map(repr, idle))} in {name}, so mapping it changes nothing; it has {has}{meant}"]

    def _joined(self, name: str) -> list[str]:
        """The words that several stand behind, which differ in more than capitals."""
        behind: dict[str, Counter[str]] = {}
        for cell, count in self._seen[name].items():
            behind.setdefault(self._meant(name, cell), Counter())[cell] += count
        meant = {*self._values[name].values()} - {""}
        said = [
            f"{ours!r} stands for {_some(f'{word!r} ({count:,})' for word, count in words.most_common())}"
            for ours, words in behind.items()
            if ours in meant and len({word.casefold() for word in words}) > 1
        ]
        return [f"{name}: {'; '.join(said)}"] if said else []


def _folded(mapped: Mapping[str, str]) -> dict[str, str]:
    """By word in small letters what is meant, where the maps of all its spellings agree."""
    meant: dict[str, set[str]] = {}
    for theirs, ours in mapped.items():
        meant.setdefault(theirs.casefold(), set()).add(ours)
    return {word: min(ours) for word, ours in meant.items() if len(ours) == 1}


def _some(words: Iterable[str]) -> str:
    listed = list(words)
    return ", ".join(listed[:_NAMED]) + (f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else "")
