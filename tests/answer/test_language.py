"""Catalogues are complete, hold what their texts hold, and use words that the text reader knows."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence

import pytest

from dermquery.answer.content import report_content
from dermquery.answer.language import ENGLISH, Language, chosen, language, said, speaking
from dermquery.answer.words import describe_condition, reading_notes
from dermquery.data.case import Case
from dermquery.data.checklist import ABSENT, CRITERIA
from dermquery.data.findings import read_findings
from dermquery.store.casebase import CaseBase
from dermquery.store.where import parse_where
from tests.catalogues import TRANSLATED, collected, held

_PLACE = re.compile(r"%\(\w+\)s|%%|%s|\{\w+\}")


@pytest.fixture(params=TRANSLATED)
def code(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def spoken(code: str) -> Iterator[Language]:
    with speaking(language(code)):
        yield language(code)


def test_a_catalogue_has_every_text_and_no_other(code: str) -> None:
    """If this fails: python -m tests.catalogues, then translate what stands there empty."""
    ours = {message.id if isinstance(message.id, str) else tuple(message.id) for message in held(code) if message.id}
    assert ours == set(collected())


def test_every_text_is_translated_with_its_places(code: str) -> None:
    for message in held(code):
        one, *forms = (message.id,) if isinstance(message.id, str) else message.id
        texts = [message.string] if isinstance(message.string, str) else list(message.string or [""])
        assert all(texts), f"{one!r} is not translated"
        assert not message.fuzzy or not one, f"{one!r} is fuzzy"
        for text in texts if one else ():
            allowed = [sorted(set(_PLACE.findall(form))) for form in (one, *forms)]
            assert sorted(set(_PLACE.findall(text))) in allowed, f"{one!r} has other places than {text!r}"


def test_a_sentence_is_found_with_its_values(spoken: Language) -> None:
    for message in held(spoken.code):
        one, other = str(message.id), str(message.string)
        if "sentence" in message.auto_comments and one.count(" ") >= 3:
            values = [f"x{n}x" for n in range(one.count("{"))]
            assert spoken.said(one.format(*values)) == other.format(*values)


def test_parts_and_numbers_of_a_sentence() -> None:
    with speaking(language("de")):
        assert said("The base holds this very image, byte-identical: it is cases a, b and 3 more.") == (
            "Die Basis enthält genau dieses Bild, bytegleich: Fälle a, b und 3 weitere."
        )
        assert "25.000.000" in said(
            "image: 9000 × 9000 pixels are more than the limit of 25,000,000; make the image smaller, or raise "
            "max_pixels if you trust its origin"
        )
        assert said("image: a PDF document; export its image as PNG or JPEG").startswith("das Bild: ein PDF-Dokument")
        assert said("nobody has thought of this: never") == "nobody has thought of this: never"
        assert said("x" * 3000) == "x" * 3000


def test_terms_are_those_that_the_reader_reads(spoken: Language) -> None:
    """What a person reads on the page they may write into the text."""
    for name, criterion in CRITERIA.items():
        for value in criterion.values:
            text = f"{spoken.gettext(criterion.title)}: {spoken.gettext(value)}"
            assert read_findings(text).checklist == {name: value}, text
    absent = f"{spoken.gettext('streaks')} {spoken.gettext(ABSENT)}"
    assert read_findings(absent).language == spoken.code


def test_numbers_and_days() -> None:
    day = datetime.date(2026, 3, 1)
    assert [language(code).number(12345.6, 1) for code in ("en", "de", "nl")] == ["12,345.6", "12.345,6", "12.345,6"]
    assert [language(code).day(day) for code in ("en", "de", "nl")] == ["2026-03-01", "01.03.2026", "1 mrt 2026"]


@pytest.mark.parametrize(
    ("preferred", "accepted", "code"),
    [
        ("", "", "en"),
        ("nl", "de", "nl"),
        ("xx", "de", "de"),
        ("", "fr-CH, fr;q=0.9, nl;q=0.7, en;q=0.8", "en"),
        ("", "de-AT", "de"),
        ("", "de;q=0, nl;q=0.1", "nl"),
        ("", "DE;q=bad, nl;q=1.0", "nl"),
        ("", ";;;,,,q=1;=,*", "en"),
        ("../../etc/passwd", "../de", "en"),
    ],
)
def test_whose_language(preferred: str, accepted: str, code: str) -> None:
    assert chosen(preferred, accepted).code == code


def test_conditions_and_remarks(spoken: Language) -> None:
    lines = describe_condition(parse_where(["site=back,chest", "age>=40", "sex!=female"]).condition)
    assert lines[0] == {"de": "Lokalisation Rücken oder Brust", "nl": "lokalisatie rug of borst"}[spoken.code]
    assert lines[1].endswith("≥ 40")
    (note,) = reading_notes(read_findings("streaks"))
    assert note.endswith({"de": "regelmäßig oder unregelmäßig?", "nl": "regelmatig of onregelmatig?"}[spoken.code])


def test_a_report_has_no_english_left(base: CaseBase, cases: Sequence[Case], spoken: Language) -> None:
    result = base.search(image=cases[1].image, checklist={"pigment_network": "atypical"})
    content = report_content(result)
    with speaking(ENGLISH):
        english = report_content(result)
    for name in ("heading", "research_use", "formula", "scale", "no_probability", "no_diagnosis"):
        assert getattr(content, name) != getattr(english, name), name
    assert content.hits[0].score.words == english.hits[0].score.words.replace(".", ",")
    assert content.hits[0].title != english.hits[0].title
