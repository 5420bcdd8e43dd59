"""What a folder holds that was prepared before: another import must not drop it without a word."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from dermquery.data.case import Case, CaseFacts
from dermquery.data.case_table import CaseTableError, read_cases
from dermquery.data.files import replacing
from dermquery.data.vocabulary.words import recorded_as, reworded

__all__ = ["PrepareError", "claim", "entered", "held_cases", "keep_held", "place_of"]

_FROM = "from"
_NAMED = 3
_OF_THE_IMPORT = ("deidentified", "pixels_read_as")
"""Extra columns that say how an import made a case; nobody enters them."""
_SPELLINGS = frozenset(map(recorded_as, CaseFacts.model_fields))


class PrepareError(ValueError):
    """A source cannot be prepared; the message says what is missing and what to do."""


def held_cases(out: Path) -> list[Case]:
    """The cases of the table of a folder that was prepared before; none of another.

    Raises:
        CaseTableError: the table is damaged.
    """
    table = out / "cases.csv"
    return list(read_cases(table).cases) if table.is_file() else []


def entered(cases: Sequence[Case], held: Mapping[str, Case]) -> tuple[list[Case], tuple[str, ...]]:
    """The cases with what their rows hold, and what there is to tell of it.

    What an earlier import wrote is not recorded, so a value that differs counts as entered by somebody: it stays, and
    is told. An empty cell is filled.

    Args:
        cases: as their source has them.
        held: by case id, those of the table.
    """
    differ: Counter[str] = Counter()
    both = [_entered(case, held.get(case.case_id), differ) for case in cases]
    if not differ:
        return both, ()
    counts = ", ".join(f"{name} ({count:,})" for name, count in differ.items())
    return both, (
        f"kept as the table has it, though the source says otherwise: {counts}; an emptied cell takes what it says",
    )


def _entered(case: Case, before: Case | None, differ: Counter[str]) -> Case:
    if before is None:
        return case
    own = reworded([case]).cases[0]
    spelled = {name for name in own.extra if name in _SPELLINGS and before.extra.get(name) == own.extra[name]}
    update: dict[str, object] = {"extra": {name: said for name, said in before.extra.items() if name not in spelled}}
    if before.diagnosis != own.diagnosis and before.diagnosis_path == own.diagnosis_path:
        update["diagnosis_path"] = None  # the place of the diagnosis that was corrected
    held = reworded([before.model_copy(update=update)]).cases[0]
    facts = [name for name in CaseFacts.model_fields if name not in ("checklist", "extra")]
    kept = {name: said for name in facts if (said := getattr(held, name)) not in (None, "")}
    others = [name for name, said in kept.items() if not _same(said, getattr(own, name))]
    extra = {name: said for name, said in own.extra.items() if name not in map(recorded_as, others)}
    noted = {name: said for name, said in held.extra.items() if name not in _OF_THE_IMPORT}
    others += [name for name, said in noted.items() if name not in _SPELLINGS and not _same(said, extra.get(name))]
    differ.update(name for name in others if getattr(own, name, None) or name in extra)
    checklist = {**own.checklist, **held.checklist}
    differ.update(name for name, said in own.checklist.items() if checklist[name] != said)
    return own.model_copy(update={**kept, "checklist": checklist, "extra": {**extra, **noted}})


def _same(one: object, other: object) -> bool:
    """Whether two values are equal once they went through a table."""
    if isinstance(one, str) and isinstance(other, str):
        return unicodedata.normalize("NFC", one).strip() == unicodedata.normalize("NFC", other).strip()
    return one == other


def place_of(paths: Sequence[Path]) -> str:
    """A hash of where an import was read from; its record must not tell the path, which may name somebody."""
    return hashlib.sha256("\n".join(str(path.resolve()) for path in paths).encode(errors="surrogateescape")).hexdigest()


def claim(out: Path, made_by: Mapping[str, object], place: str) -> str | None:
    """Record in ``out`` how its images are made and from where; returns from where they were before, "" if unknown.

    Raises:
        PrepareError: what is there was made in another way.
    """
    record = out / "prepare.json"
    if out.exists() and not out.is_dir():
        raise PrepareError(f"{out} is a file; name a folder to prepare into")
    if not record.exists():
        if (out / "images").exists():
            raise PrepareError(f"{out} has images but no prepare.json, so it was not prepared here; use another folder")
        _write(record, {**made_by, _FROM: place})
        return None
    try:
        before = json.loads(record.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PrepareError(f"{record} is damaged ({error}); remove the folder {out} and prepare again") from error
    known = dict(before) if isinstance(before, dict) else {}
    was = str(known.pop(_FROM, ""))
    if known != made_by:
        changes = [
            f"{name} was {known.get(name)!r} and is now {made_by.get(name)!r}"
            for name in sorted({*known, *made_by})
            if known.get(name) != made_by.get(name)
        ]
        raise PrepareError(
            f"{out} was prepared in another way ({'; '.join(changes)}); prepare into another folder, or remove it"
        )
    return was


def keep_held(
    out: Path,
    cases: Sequence[Case],
    left_out: Collection[str],
    *,
    made_by: Mapping[str, object],
    place: str,
    before: str | None,
    is_other_image: Callable[[Case], bool],
) -> list[str]:
    """Refuse to write over the cases of another import; of the same one, say which of them it has no more.

    Args:
        out: the folder.
        cases: that are to be prepared.
        left_out: ids that the source has and that cannot be used.
        made_by: how the images are made, as recorded.
        place: where they come from, as recorded from now on.
        before: what :func:`claim` returned.
        is_other_image: whether a case's image was made of another file before.

    Raises:
        PrepareError: cases would be lost.
    """
    table = out / "cases.csv"
    same = before == place
    held: list[str] = []
    with suppress(*([CaseTableError] if same else [])):
        held = [case.case_id for case in read_cases(table, check_images=False).cases] if table.is_file() else []
    there = {case.case_id for case in cases}
    lost = [case_id for case_id in held if case_id not in there and case_id not in left_out]
    if same:
        return [f"{_some(lost)} of before {_are(lost)} no longer in what was read and left the table"] if lost else []
    if not lost:
        known = set(held)
        lost = [case.case_id for case in cases if case.case_id in known and is_other_image(case)]
    if lost:
        raise PrepareError(
            f"{out} holds what was prepared from elsewhere, and {_some(lost)} would be lost; prepare into another "
            f"folder (index takes one after the other into one base), or remove {table} if they may go"
        )
    if before is not None:
        _write(out / "prepare.json", {**made_by, _FROM: place})
    return []


def _write(record: Path, said: Mapping[str, object]) -> None:
    with replacing(record) as part:
        part.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def _some(ids: Sequence[str]) -> str:
    more = ", …" if len(ids) > _NAMED else ""
    return f"{len(ids):,} case{'' if len(ids) == 1 else 's'} ({', '.join(ids[:_NAMED])}{more})"


def _are(ids: Sequence[str]) -> str:
    return "is" if len(ids) == 1 else "are"
