"""The files of languages: one layout, and every word of theirs does what it stands for."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest

from dermquery.data.checklist import ABSENT, CRITERIA
from dermquery.data.findings import _read, read_findings
from dermquery.data.reading.lexicon import languages, languages_of
from dermquery.data.reading.tokens import _spelling
from tests.data.test_reading_laws import reports

CODES = tuple(languages())


def table(code: str) -> dict[str, Any]:
    return tomllib.loads((resources.files("dermquery.data.reading") / "languages" / f"{code}.toml").read_text("utf-8"))


def said(code: str, text: str) -> dict[str, str]:
    found = _read(text, languages()[code])
    return dict(found.checklist) | reports(found)


def names(code: str) -> Iterator[tuple[str, str]]:
    """Each criterion with its first name."""
    yield from ((name, phrases[0]) for name, phrases in table(code)["items"].items())


def test_seven_languages_of_one_layout() -> None:
    assert set(CODES) == {"en", "de", "nl", "fr", "es", "it", "pt"}
    assert CODES[0] == "en"
    english = table("en")
    for code in CODES:
        other = table(code)
        assert list(other) == list(english), code
        assert set(other["words"]) == set(english["words"]), code
        assert set(other["items"]) == set(CRITERIA), code
        assert set(other["qualities"]) | {"blue_whitish_veil"} == set(CRITERIA), code


@pytest.mark.parametrize("code", CODES)
def test_every_name_and_phrase_is_read(code: str) -> None:
    words = table(code)
    for name, phrases in words["items"].items():
        veil = len(CRITERIA[name].values) == 2
        for phrase in [*phrases, *words["parts"].get(name, ())]:
            assert said(code, phrase.upper()) == {name: "present" if veil else "~"}, phrase
    for name, values in words["terms"].items():
        for value, phrases in values.items():
            for phrase in phrases:
                assert said(code, f"{phrase}!") == {name: value}, phrase


@pytest.mark.parametrize("code", CODES)
def test_every_quality_describes_its_criterion(code: str) -> None:
    words = table(code)
    first, denial = words["adjectives"] == "before", words["words"]["no"][0]
    for name, noun in names(code):
        for value, phrases in words["qualities"].get(name, {}).items():
            for phrase in phrases:
                text = f"{phrase} {noun}" if first else f"{noun} {phrase}"
                expected = "~" if " | " in value else value
                assert said(code, text)[name] == expected, text
                assert said(code, f"{noun}: {phrase}")[name] == expected, phrase
                assert said(code, f"{denial} {text}")[name] == "~", text


@pytest.mark.parametrize("code", CODES)
def test_every_word_of_denial_doubt_time_and_view_reaches_a_structure(code: str) -> None:
    words = table(code)["words"]
    for name, noun in names(code):
        for word in words["no"]:
            assert said(code, f"{word} {noun}") == {name: ABSENT}, word
        for word in (*words["not"], *words["nor"]):
            assert said(code, f"{word} {noun}") == {name: ABSENT}, word
        for word in words["not"]:
            assert said(code, f"{noun} {word} xyzzyable")[name] == "?", word
        for word in (*words["absent"], *words["gone"]):
            assert said(code, f"{noun} {word}") == {name: ABSENT}, word
        for word in (*words["doubt"], *words["suspicion"], *words["past"], *words["other"]):
            if (code, word) != ("en", "vs"):  # vessels, where no full stop follows
                assert said(code, f"{word} {noun}") == {name: "?"}, word
                assert said(code, f"{noun} {word}") == {name: "?"}, word


@pytest.mark.parametrize("code", CODES)
def test_between_two_structures_nor_denies_both(code: str) -> None:
    words = table(code)
    veil, network = (words["items"][name][0] for name in ("blue_whitish_veil", "pigment_network"))
    for word in words["words"]["nor"]:
        assert said(code, f"{veil} {word} {network}") == {"pigment_network": ABSENT, "blue_whitish_veil": ABSENT}


@pytest.mark.parametrize("code", CODES)
def test_a_month_is_a_time_where_a_year_is(code: str) -> None:
    words = table(code)
    veil = words["items"]["blue_whitish_veil"][0]
    doubtful = {word for kind in ("doubt", "but") for word in words["words"][kind]}
    for month in set(words["words"]["month"]) - doubtful:
        assert said(code, f"{words['words']['year'][0]} {month} {veil}") == {"blue_whitish_veil": "?"}, month


@pytest.mark.parametrize("code", CODES)
def test_an_ordinary_word_is_no_slip(code: str) -> None:
    language = languages()[code]
    for word in table(code)["ordinary"]:
        assert _spelling(language.stem(word), code) == (language.stem(word),), word


def test_of_languages_that_know_as_much_the_one_counts_that_leaves_least_unread() -> None:
    assert [language.code for language in languages_of(["visto", "velo"])] == ["es", "it"]
    assert read_findings("Nessuno ha visto un velo.").checklist == {"blue_whitish_veil": ABSENT}


def test_the_language_is_that_of_most_words() -> None:
    assert languages_of(["Kein", "Schleier"])[0].code == "de"
    assert languages_of(["no", "veil"])[0].code == "en"
    assert languages_of(["no", "hay", "velo"])[0].code == "es"
    assert languages_of([])[0].code == languages_of(["xyzzy"])[0].code == "en"
