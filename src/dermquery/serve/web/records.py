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
from dermquery.serve.uploads import ExpiredImageError, edited
from dermquery.serve.web.asking import IMAGE_EXPIRED
from dermquery.serve.web.failures import AskError
from dermquery.serve.web.question import Question
from dermquery.serve.web.site import Site, Visit
from dermquery.store.protocol import StoredCase

__all__ = ["Change", "Records", "looks_personal"]

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


class Records:
    """Writes for people, with undo for each of them in the browser in which they wrote."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._changes = Kept[tuple[str, str], tuple[Change, ...]](
            512,
            idle=KEPT_SECONDS,
            most_bytes=_BYTES,
            size=lambda all_: sum(len(c.before[1] or b"") for c in all_ if c.before),
        )

    def held(self, case_id: str) -> StoredCase | None:
        """A case of the base."""
        return self._site.service.base.store.get([case_id], vectors=False).get(case_id)

    def add(self, visit: Visit, fields: CaseFields, question: Question, *, replace: bool) -> str:
        """Add a case with the image of a form; the key of its undo.

        Raises:
            AskError: there is no image, or it has expired.
            CaseExistsError: there is a case of this id, and it may not be replaced.
        """
        if not question.image:
            raise AskError(_("Choose the image of the case first."))
        try:
            kept = self._site.images.of(visit.owner, question.image)
        except ExpiredImageError as error:
            raise AskError(_(IMAGE_EXPIRED), 410) from error
        data = edited(kept.data, question.turn, question.crop, self._site.service.decode)
        held = self.held(fields.case_id)
        before = None if held is None else self._before(held)
        written = self._site.service.writer.put(fields, data, update=replace)
        self._log(visit, "add" if written.added else "update", written.row)
        return self._kept(visit, [Change(fields.case_id, before, _mark(written.row))])

    def change(self, visit: Visit, case_id: str, changes: dict[str, Any]) -> str:
        """Change what is known of a case; the key of its undo."""
        return self._kept(visit, [self._changed(visit, self._site.service.case(case_id), changes)])

    def delete(self, visit: Visit, case_ids: Sequence[str]) -> str:
        """Delete cases; the key of their undo."""
        return self._kept(visit, self._deleted(visit, case_ids))

    def merge(self, visit: Visit, kept: str, others: Sequence[str]) -> str:
        """Keep one of several cases of an image, with what only the others know; the key of the undo."""
        row, known = self._site.service.case(kept), [self._site.service.case(name).case for name in others]
        changes: dict[str, Any] = {
            name: value
            for name in CaseFields.model_fields
            if name in CASE_FIELDS and name != "case_id" and getattr(row.case, name) in (None, "")
            for value in [next((getattr(case, name) for case in known if getattr(case, name)), None)]
            if value is not None
        }
        changes["checklist"] = {k: v for case in [*reversed(known), row.case] for k, v in case.checklist.items()}
        first = self._changed(visit, row, changes)
        return self._kept(visit, [first, *self._deleted(visit, others)])

    def undo(self, visit: Visit, key: str) -> list[str]:
        """Undo what was written, once; the ids of the cases.

        Raises:
            AskError: it was undone before, is not kept any more, or a case was changed since.
        """
        with self._changes.lock:  # a second click, before the first is answered, finds nothing
            changes = self._changes.get((visit.owner, key))
            self._changes.pop((visit.owner, key))
        if changes is None:
            raise AskError(_("This was undone already, or is not kept any more."), 410)
        try:
            self._check(changes)
            for change in changes:
                self._take_back(visit, change)
        except Exception:
            self._changes.put((visit.owner, key), changes)
            raise
        self._site.service.facts.forget()
        return [change.case_id for change in changes]

    def _check(self, changes: Sequence[Change]) -> None:
        for change in changes:
            held = self.held(change.case_id)
            if (None if held is None else _mark(held)) != change.mark:
                raise AskError(_("Case %s was changed or removed since, and is left alone.") % change.case_id, 409)

    def _take_back(self, visit: Visit, change: Change) -> None:
        if change.before is None:
            self._site.service.writer.delete([change.case_id])
            self._site.audit.write("delete", visit.who, case=change.case_id)
        else:
            writer, (fields, image) = self._site.service.writer, change.before
            row = (writer.change(fields, None) if image is None else writer.put(fields, image, update=True)).row
            self._log(visit, "add" if change.mark is None else "update", row)

    def _changed(self, visit: Visit, row: StoredCase, changes: dict[str, Any]) -> Change:
        before = CaseFields.of(row.case)
        fields = CaseFields.model_validate({**before.model_dump(), **changes})
        written = self._site.service.writer.change(fields, None).row
        self._log(visit, "update", written)
        return Change(row.case.case_id, (before, None), _mark(written))

    def _deleted(self, visit: Visit, case_ids: Sequence[str]) -> list[Change]:
        changes = [Change(name, self._before(self._site.service.case(name)), None) for name in case_ids]
        self._site.service.writer.delete(list(case_ids))
        for name in case_ids:
            self._site.audit.write("delete", visit.who, case=name)
        return changes

    def _before(self, row: StoredCase) -> tuple[CaseFields, bytes]:
        return CaseFields.of(row.case), original_bytes(row, self._site.service.base.archive)

    def _kept(self, visit: Visit, changes: Sequence[Change]) -> str:
        key = new_key()
        self._changes.put((visit.owner, key), tuple(changes))
        self._site.service.facts.forget()
        return key

    def _log(self, visit: Visit, event: str, row: StoredCase) -> None:
        self._site.audit.write(event, visit.who, case=row.case.case_id, image=row.stamp.sha256)


def _mark(row: StoredCase) -> str:
    return fingerprint(row.case, row.stamp.sha256)
