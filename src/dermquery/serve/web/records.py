"""What people write on the page: cases added, changed, deleted and merged, each of which can be undone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dermquery.answer.language import _
from dermquery.data.case import CASE_FIELDS
from dermquery.serve.fields import CaseFields
from dermquery.serve.job_folder import fingerprint
from dermquery.serve.kept import Kept
from dermquery.serve.pictures import original_bytes
from dermquery.serve.prepared import KEPT_SECONDS, new_key
from dermquery.serve.web.asking import image_of
from dermquery.serve.web.failures import AskError
from dermquery.serve.web.question import Question
from dermquery.serve.web.site import Visit
from dermquery.store.protocol import StoredCase

__all__ = ["add", "change", "delete", "held", "looks_personal", "merge", "to_undo", "undo"]

_BYTES = 256 << 20
_DATE = re.compile(
    r"(?<!\d)(\d{1,2}[./-]\d{1,2}[./-](19|20)?\d{2}|(19|20)\d{2}[./-]?[01]\d[./-]?[0-3]\d|[0-3]\d[01]\d(19|20)\d{2})(?!\d)"
)
_NAME = re.compile(r"[^\W\d_]{2,}[ ,_]+[^\W\d_]{2,}")


def looks_personal(case_id: str) -> bool:
    """Whether an id looks like a name or a date of birth.

    >>> [looks_personal(name) for name in ("clinic-2024-17", "Anna Muster", "1951-03-09", "m_09031951")]
    [False, True, True, True]
    """
    return bool(_DATE.search(case_id) or _NAME.fullmatch(case_id.strip()))


@dataclass(frozen=True, eq=False)
class Change:
    """How to undo what was written of one case.

    Attributes:
        before: the case as it was, and its image unless that stayed; None if it was not there.
        mark: fingerprint of what was written; None if the case was deleted. A case with another one was changed since.
    """

    case_id: str
    before: tuple[CaseFields, bytes | None] | None
    mark: str | None


Undo = Kept[tuple[str, str], tuple[Change, ...]]
"""What can be undone, by the owner and a key."""


def to_undo() -> Undo:
    """An empty store of what can be undone."""
    return Kept(
        512,
        idle=KEPT_SECONDS,
        most_bytes=_BYTES,
        size=lambda all_: sum(len(c.before[1] or b"") for c in all_ if c.before),
    )


def held(visit: Visit, case_id: str) -> StoredCase | None:
    """A case of the base."""
    return visit.service.base.store.get([case_id], vectors=False).get(case_id)


def add(visit: Visit, fields: CaseFields, question: Question, *, replace: bool) -> str:
    """Add a case with the image of a form; the key of its undo.

    Raises:
        AskError: its image has expired.
        CaseExistsError: there is a case of this id, and it may not be replaced.
    """
    data = image_of(visit, question)
    row = held(visit, fields.case_id)
    before = None if row is None else _before(visit, row)
    written, added = visit.service.writer.put(fields, data, update=replace)
    _log(visit, "add" if added else "update", written)
    return _kept(visit, [Change(fields.case_id, before, _mark(written))])


def change(visit: Visit, case_id: str, changes: dict[str, Any]) -> str:
    """Change what is known of a case; the key of its undo."""
    return _kept(visit, [_changed(visit, visit.service.case(case_id), changes)])


def delete(visit: Visit, case_id: str) -> str:
    """Delete a case; the key of its undo."""
    return _kept(visit, _deleted(visit, [case_id]))


def merge(visit: Visit, kept: str, others: Sequence[str]) -> str:
    """Keep one of several cases of an image, with what only the others know; the key of the undo."""
    row, known = visit.service.case(kept), [visit.service.case(name).case for name in others]
    changes: dict[str, Any] = {
        name: value
        for name in CaseFields.model_fields
        if name in CASE_FIELDS and name != "case_id" and getattr(row.case, name) in (None, "")
        for value in [next((getattr(case, name) for case in known if getattr(case, name)), None)]
        if value is not None
    }
    changes["checklist"] = {k: v for case in [*reversed(known), row.case] for k, v in case.checklist.items()}
    first = _changed(visit, row, changes)
    return _kept(visit, [first, *_deleted(visit, others)])


def undo(visit: Visit, key: str) -> list[str]:
    """Undo what was written, once; the ids of the cases.

    Raises:
        AskError: it was undone before, is not kept any more, or a case was changed since.
    """
    store: Undo = visit.site.undo
    with store.lock:  # a second click, before the first is answered, finds nothing
        changes = store.get((visit.owner, key))
        store.pop((visit.owner, key))
    if changes is None:
        raise AskError(_("This was undone already, or is not kept any more."), 410)
    try:
        _check(visit, changes)
        for written in changes:
            _take_back(visit, written)
    except Exception:
        store.put((visit.owner, key), changes)
        raise
    visit.service.facts.forget()
    return [written.case_id for written in changes]


def _check(visit: Visit, changes: Sequence[Change]) -> None:
    for written in changes:
        row = held(visit, written.case_id)
        if (None if row is None else _mark(row)) != written.mark:
            raise AskError(_("Case %s was changed or removed since, and is left alone.") % written.case_id, 409)


def _take_back(visit: Visit, written: Change) -> None:
    writer = visit.service.writer
    if written.before is None:
        writer.delete([written.case_id])
        visit.log("delete", case=written.case_id)
    else:
        fields, image = written.before
        row = writer.change(fields, None) if image is None else writer.put(fields, image, update=True)[0]
        _log(visit, "add" if written.mark is None else "update", row)


def _changed(visit: Visit, row: StoredCase, changes: dict[str, Any]) -> Change:
    before = CaseFields.of(row.case)
    fields = CaseFields.model_validate({**before.model_dump(), **changes})
    written = visit.service.writer.change(fields, None)
    _log(visit, "update", written)
    return Change(row.case.case_id, (before, None), _mark(written))


def _deleted(visit: Visit, case_ids: Sequence[str]) -> list[Change]:
    changes = [Change(name, _before(visit, visit.service.case(name)), None) for name in case_ids]
    visit.service.writer.delete(list(case_ids))
    for name in case_ids:
        visit.log("delete", case=name)
    return changes


def _before(visit: Visit, row: StoredCase) -> tuple[CaseFields, bytes]:
    return CaseFields.of(row.case), original_bytes(row, visit.service.base.archive)


def _kept(visit: Visit, changes: Sequence[Change]) -> str:
    key = new_key()
    visit.site.undo.put((visit.owner, key), tuple(changes))
    visit.service.facts.forget()
    return key


def _log(visit: Visit, event: str, row: StoredCase) -> None:
    visit.log(event, case=row.case.case_id, image=row.stamp.sha256)


def _mark(row: StoredCase) -> str:
    return fingerprint(row.case, row.stamp.sha256)
