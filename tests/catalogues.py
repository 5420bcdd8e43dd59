"""Collects the texts that people read into the catalogues of their languages.

    python -m tests.catalogues          # after a text was changed: what is new stands there empty, what is gone is gone

Three kinds: texts that are marked with ``_`` or ``ngettext``; words of tables (criteria, diagnoses, recorded values);
and sentences of the layers below, which know of no language, with a slot ``{0}`` for each value in them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po

from dermquery.answer import words
from dermquery.answer.language import FOLDER, LANGUAGES
from dermquery.answer.rendering import environment_of
from dermquery.data.case import CASE_FIELDS
from dermquery.data.checklist import CRITERIA
from dermquery.data.reading.lexicon import languages
from dermquery.data.sources.keeping import REASONS
from dermquery.data.vocabulary.sites import SITES
from dermquery.data.vocabulary.words import _spellings
from dermquery.serve.web.texts import PARTS, PRESETS, TERMS

SOURCE = Path(words.__file__).parents[1]
TRANSLATED = tuple(code for code in LANGUAGES if code != "en")
Texts = dict[str | tuple[str, str], list[str]]
"""Text, or its forms for one and for many, and what is remarked on it."""
_SAYING = (
    *(
        "data/image.py",
        "data/foreign_files.py",
        "data/decoding.py",
        "data/costs.py",
        "data/dicom/frames.py",
        "data/image_quality.py",
        "data/sources/lesions.py",
        "store/excluded.py",
        "store/likeness.py",
    ),
    *("store/same_image.py", "serve/answers.py", "serve/archive_names.py", "serve/bundle.py"),
    *(
        "serve/errors.py",
        "serve/fields.py",
        "serve/job_queue.py",
        "serve/job_steps.py",
        "serve/line.py",
        "serve/overlays.py",
    ),
    *("serve/web/address.py", "serve/prepared.py", "serve/reading.py", "serve/service.py", "serve/upload_budget.py"),
    *(f"serve/security/{name}.py" for name in ("accounts", "guard", "identity", "limits", "origins")),
)
"""Modules whose messages people can meet on the page."""
_NAMES = ("message", "detail", "reason", "words", "below", "said", "_DISK")
_OTHERS = (
    # Parts of sentences, which stand in a slot of another.
    *("case {0}", "cases {0}", "cases {0} and {1} more", "It looks", "They look", "this is {0}", "{0}: {1}"),
    *("no source", "resume the job", "undo it again", "requests", "requests at once"),
    # What pydantic says of the fields of a case.
    "Input should be a valid number, unable to parse string as a number",
    "Input should be less than or equal to {0}",
    "Input should be greater than or equal to {0}",
    "Input should be a finite number",
    "Input should be a valid date or datetime, {0}",
    "String should have at most {0} characters",
    "String should have at least {0} character",
    "Value error, {0}",
    # Why a column of a table is left out.
    *REASONS,
)


def collected() -> Texts:
    """Everything that a catalogue must hold."""
    found: Texts = {}
    for path in sorted((SOURCE / "answer").rglob("*.py")) + sorted((SOURCE / "serve").rglob("*.py")):
        found |= {text: [] for text in _marked(ast.parse(path.read_text(encoding="utf-8")))}
    for package in ("dermquery.answer", "dermquery.serve.web", "dermquery.serve.security"):
        found |= {text: [] for text in _of_templates(package)}
    found |= {text: [] for text in _of_tables() if text not in found}
    for name in _SAYING:
        tree = ast.parse((SOURCE / name).read_text(encoding="utf-8"))
        found |= {text: ["sentence"] for text in _sentences(tree) if text not in found}
    return found | {text: ["sentence"] for text in _OTHERS}


def _marked(tree: ast.AST) -> Iterator[str | tuple[str, str]]:
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            continue
        given = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        if call.func.id == "_" and given:
            yield given[0]
        elif call.func.id == "ngettext" and len(given) == 2:
            yield given[0], given[1]


def _of_templates(package: str) -> Iterator[str | tuple[str, str]]:
    environment = environment_of(package)
    folder = SOURCE.joinpath(*package.split(".")[1:], "templates")
    for path in sorted(folder.iterdir()):
        for _line, function, text in environment.extract_translations(path.read_text(encoding="utf-8")):  # type: ignore[attr-defined]
            texts = [text] if isinstance(text, str) else [one for one in text or () if one]
            if texts:
                yield (texts[0], texts[1]) if function == "ngettext" else texts[0]


def _of_tables() -> Iterator[str]:
    for criterion in CRITERIA.values():
        yield from (criterion.title, *criterion.values, criterion.definition)
    yield from (*words.TITLES.values(), words.NOT_RECORDED, *words._DIAGNOSES.values(), *words.VALUES, "Case id")
    yield from (name.replace("_", " ") for name in CASE_FIELDS)
    yield from SITES.by_word
    for field in ("sex", "laterality", "confirmed_by", "image_type", "polarisation", "contact"):
        yield from dict.fromkeys(_spellings()[field].values())
    yield from (language.name for language in languages().values())
    yield from (*PARTS.values(), *PARTS, *PRESETS, *(text for pair in PRESETS.values() for text in pair), *TERMS)
    yield from ("Fine detail", "Structures", "Whole shape", "both", "the image", "image")
    from dermquery.answer import content
    from dermquery.store.hits import RESEARCH_USE

    yield from (content.NO_PROBABILITY, content.NO_DIAGNOSIS, content.TRAINED_ON, content.SCORE_HINT, content._EVIDENCE)
    yield RESEARCH_USE
    from dermquery.serve.web import asking, search

    yield from (asking.IMAGE_EXPIRED, search._EXPIRED)


def _sentences(tree: ast.AST) -> Iterator[str]:
    """Messages: what is raised, returned, passed on or kept under a name of :data:`_NAMES`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise | ast.Return | ast.Call | ast.Tuple):
            held: ast.AST | None = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            held = node.value if any(isinstance(t, ast.Name) and t.id in _NAMES for t in targets) else None
        else:
            held = None
        for text in _strings(held) if held is not None else ():
            title = text[:1].isupper() and not set(text) & set(".,;:'{")  # of a problem, which API clients tell apart
            if text.count(" ") >= 3 and "%s" not in text and not title:
                yield text


def _strings(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        slots = iter(range(len(node.values)))
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"{{{next(slots)}}}" for part in node.values
        )
    else:
        for child in ast.iter_child_nodes(node):
            yield from _strings(child)


def held(code: str) -> Catalog:
    """A catalogue as it is."""
    path = FOLDER / f"{code}.po"
    if not path.exists():
        return Catalog(locale=code)
    with path.open("rb") as file:
        return read_po(file, locale=code)


def updated(code: str) -> Catalog:
    """A catalogue with the texts that there are now."""
    old, day = held(code), datetime(2026, 1, 1, tzinfo=UTC)  # a fixed day, so that a catalogue changes with its texts
    new = Catalog(code, project="dermquery", header_comment=f"# {LANGUAGES[code]}", creation_date=day, fuzzy=False)
    new.revision_date, new.last_translator, new.language_team = day, "The dermquery authors", LANGUAGES[code]
    for text, remarks in collected().items():
        known = old.get(text if isinstance(text, str) else text[0])
        new.add(text, known.string if known else None, auto_comments=remarks)
    return new


def write(code: str) -> None:
    """Write a catalogue anew."""
    catalogue = updated(code)
    with (FOLDER / f"{code}.po").open("wb") as file:
        write_po(file, catalogue, width=120)


if __name__ == "__main__":
    for language in TRANSLATED:
        write(language)
        empty = sum(not message.string for message in held(language) if message.id)
        print(f"{language}: {len(held(language))} texts, {empty} of them empty")  # noqa: T201
