"""Laws of reading that hold for every text of a grammar, whatever its words: 2,500 sentences, each in many writings."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from dermquery.data.checklist import ABSENT
from dermquery.data.findings import Findings, read_findings
from tests.data.sentences import DENIED, NOUNS, PLACES, SEPARATORS, VARIANTS, WITH_VALUE, Part, joined, parts

N_SENTENCES = 2500
BESIDE = ("in this lesion", "in the image", "with irregular borders", "in a brown lesion", "of the patient's mole", "")


def said(text: str) -> dict[str, str]:
    """What a text says of each criterion: a value, or the kind of report."""
    found = read_findings(text)
    return dict(found.checklist) | reports(found)


def reports(found: Findings) -> dict[str, str]:
    """The criteria that get no value, with the kind of report."""
    kinds = {"?": found.uncertain, "!": found.conflicts, "~": found.incomplete}
    return {remark.criterion: kind for kind, remarks in kinds.items() for remark in remarks}


def test_a_sentence_says_what_it_was_made_of_in_any_order_and_writing() -> None:
    rng = random.Random(20240131)  # noqa: S311
    wrong = []
    for _ in range(N_SENTENCES):
        made = parts(rng)
        meant = {part.criterion: part.says for part in made}
        separators = [rng.choice(SEPARATORS) for _ in made[1:]]
        text = joined(made, separators)
        rng.shuffle(made)
        writings = {"as written": text, "another order": joined(made, separators)}
        for name in rng.sample(list(VARIANTS), 3):
            writings[name] = VARIANTS[name](rng, text)
        wrong += [(name, written, got) for name, written in writings.items() if (got := said(written)) != meant]
    assert not wrong, (len(wrong), wrong[:10])


def test_what_is_denied_never_stays_and_without_it_nothing_comes() -> None:
    rng = random.Random(7)  # noqa: S311
    wrong: list[tuple[object, ...]] = []
    for _ in range(N_SENTENCES // 2):
        # "Veil, streaks not present" denies both; that a veil is there has to be said.
        made = [p._replace(text=f"{p.text} present") if p.text in NOUNS[p.criterion] else p for p in parts(rng)]
        text = ", ".join(part.text for part in made)
        with_all = read_findings(text).checklist
        for at, part in enumerate(made):
            if part.says != ABSENT:
                continue
            if with_all.get(part.criterion, ABSENT) != ABSENT:
                wrong.append((text, part.text, with_all))
            rest = ", ".join(p.text for i, p in enumerate(made) if i != at)
            added = read_findings(rest).checklist.items() - with_all.items()
            wrong += [(text, rest, name, value) for name, value in added if not _meant(name, value, made)]
    assert not wrong, (len(wrong), wrong[:10])


def _meant(name: str, value: str, made: Sequence[Part]) -> bool:
    return any((part.criterion, part.says) == (name, value) for part in made)


@pytest.mark.parametrize("denial", DENIED)
def test_a_denial_leaves_no_positive(denial: str) -> None:
    for criterion, nouns in NOUNS.items():
        for noun in nouns:
            assert said(denial.format(noun=noun)) == {criterion: ABSENT}, noun
            for value, ways in WITH_VALUE.items():
                text = denial.format(noun=ways[0].format(noun=noun))
                assert said(text).get(criterion, ABSENT) in (ABSENT, "~"), (value, text)


@pytest.mark.parametrize("denial", [denial for denial in DENIED if not set("-=(:") & set(denial)])
def test_where_something_is_not_changes_nothing(denial: str) -> None:
    wrong: list[tuple[object, ...]] = []
    for place in PLACES:
        for criterion, nouns in NOUNS.items():
            for noun in nouns:
                plain = f"{denial.format(noun=noun)} {place}"
                wrong += [(text, got) for text in (plain, f"{plain}.") if (got := said(text)) != {criterion: ABSENT}]
                for way, *_ in WITH_VALUE.values():
                    valued = f"{denial.format(noun=way.format(noun=noun))} {place}"
                    wrong += [(valued, got) for got in said(valued).values() if got not in (ABSENT, "~", "?")]
    assert not wrong, (len(wrong), wrong[:10])


@pytest.mark.parametrize("text", ["atypical network, not present", "irregular streaks, absent in this lesion"])
def test_a_value_that_is_denied_after_a_comma_is_asked_for(text: str) -> None:
    assert set(said(text).values()) == {"?"}


def test_nothing_turns_into_its_opposite_beside_a_place() -> None:
    rng = random.Random(11)  # noqa: S311
    wrong = []
    for _ in range(N_SENTENCES):
        made = parts(rng)
        text = "; ".join(f"{part.text} {rng.choice(BESIDE)}" for part in made)
        got = read_findings(text).checklist
        wrong += [(text, p) for p in made if p.criterion in got and (got[p.criterion] == ABSENT) != (p.says == ABSENT)]
    assert not wrong, (len(wrong), wrong[:10])
