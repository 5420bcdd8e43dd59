"""Judge the reading of hand-written texts: how many findings are read right, wrong, missed, or passed over in silence.

``python -m tests.data.judged [FILE.csv ...]`` prints the figures of docs/search.md, and with ``-v`` what went wrong.
A reading names criteria with a value, or with a sign: ``?`` doubtful, ``!`` contradictory, ``~`` a quality is missing,
``*`` a value and a question are both fair, silence is not. What must be reported as unread stands in its own column.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dermquery.data.findings import Findings, read_findings

HERE = Path(__file__).parent
VERDICTS = ("right", "wrong", "missed", "unreported")
_KINDS = {"?": "uncertain", "!": "conflict", "~": "incomplete"}


class Text(NamedTuple):
    """A row of the table: what is hard about it, the text, its reading and the words that must be reported."""

    kind: str
    text: str
    reading: dict[str, str]
    unread: list[str]


class Judged(NamedTuple):
    """One thing that a text says: where, what was expected, what came, and the verdict."""

    text: Text
    about: str
    expected: str
    got: str
    verdict: str
    exact: bool = True


def read_texts(path: Path = HERE / "texts.csv") -> list[Text]:
    """The rows of a table with the columns ``kind, text, reading, unread``."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Text(
                row["kind"],
                row["text"],
                {name: value for name, _, value in (p.partition("=") for p in row["reading"].split("; ") if p)},
                row["unread"].split(),
            )
            for row in csv.DictReader(file)
        ]


def judge(text: Text) -> Iterator[Judged]:
    """What became of everything that a text says, and of every value that it does not give."""
    found = read_findings(text.text)
    reported = _reports(found)
    for name, expected in text.reading.items():
        value, kind = found.checklist.get(name, ""), reported.get(name, "unread" if found.unread else "")
        got = value or kind
        yield Judged(
            text,
            name,
            expected,
            got,
            _verdict(expected, value, kind),
            value != "" or kind == _KINDS.get(expected, kind),
        )
    for name, value in found.checklist.items():
        if name not in text.reading:
            yield Judged(text, name, "", value, "wrong")
    said = " ".join([*found.unread, *_words(found)]).lower()
    for word in text.unread:
        heard = word.lower() in said
        yield Judged(text, "unread", word, "", "right" if heard else "unreported")


def _verdict(expected: str, value: str, kind: str) -> str:
    if expected in ("?", "!", "~"):
        return "wrong" if value else "right" if kind else "unreported"
    if expected == "*":
        return "right" if value or kind else "unreported"
    return "missed" if not value else "right" if value == expected else "wrong"


def _reports(found: Findings) -> dict[str, str]:
    kinds = {"uncertain": found.uncertain, "conflict": found.conflicts, "incomplete": found.incomplete}
    return {remark.criterion: kind for kind, remarks in kinds.items() for remark in remarks}


def _words(found: Findings) -> list[str]:
    return [remark.words for remark in (*found.uncertain, *found.conflicts, *found.incomplete)]


def main(arguments: list[str]) -> None:
    """Print the figures of each table, by kind with ``-v``."""
    loud = "-v" in arguments
    for path in [Path(a) for a in arguments if a != "-v"] or [HERE / "texts.csv"]:
        judged = [j for text in read_texts(path) for j in judge(text)]
        _say(path.name, len(read_texts(path)), "texts,", len(judged), "readings:", _line(judged))
        silent = [j for j in judged if j.verdict == "missed" and not j.got]
        _say(
            "  of the missed, said nothing about:",
            len(silent),
            "; reported under another heading:",
            sum(not j.exact for j in judged),
        )
        texts = {j.text.text for j in judged}
        bad = {j.text.text for j in judged if j.verdict != "right"}
        _say("  texts wholly right:", len(texts) - len(bad), "of", len(texts))
        for kind in dict.fromkeys(j.text.kind for j in judged):
            _say("   ", kind, _line([j for j in judged if j.text.kind == kind]))
        for j in judged if loud else ():
            if j.verdict != "right" or not j.exact:
                _say(f"{j.verdict:11}{j.about:22}{j.expected!r:20}{j.got!r:20}{j.text.text!r}")


def _say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def _line(judged: list[Judged]) -> str:
    counts = Counter(j.verdict for j in judged)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)


if __name__ == "__main__":
    main(sys.argv[1:])
