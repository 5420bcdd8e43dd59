"""What a person reads about an error: no path of the server's machine, and nothing internal."""

from __future__ import annotations

import logging

from dermquery.data.image import ImageError
from dermquery.serve.answers import CaseExistsError, ImageGoneError, UnknownCaseError
from dermquery.serve.line import Busy
from dermquery.serve.page import texts
from dermquery.store.archive import ArchiveError
from dermquery.store.casebase import EmptyBaseError, QueryError
from dermquery.store.earlier_schemas import UpgradeNeededError
from dermquery.store.filters import FilterError
from dermquery.store.home import BaseBusyError
from dermquery.store.ingest import StoreWriteError

__all__ = ["AskError", "words_for"]


class AskError(ValueError):
    """A request cannot be met; the message is for the person who made it."""


_SPOKEN = (
    AskError, QueryError, FilterError, ImageError, UnknownCaseError, ImageGoneError, CaseExistsError, Busy,
)  # fmt: skip
_HIDDEN: tuple[tuple[type[Exception], str], ...] = (
    (EmptyBaseError, texts.BASE_IS_EMPTY),
    (BaseBusyError, texts.BASE_IS_BUSY),
    (UpgradeNeededError, texts.BASE_IS_READ_ONLY),
    (StoreWriteError, texts.BASE_IS_FULL),
    (ArchiveError, texts.IMAGES_UNREACHABLE),
)


def words_for(error: Exception) -> str:
    """The message for an error; an unexpected error goes to the log."""
    for kind, words in _HIDDEN:
        if isinstance(error, kind):
            return words
    if isinstance(error, _SPOKEN):
        return str(error)
    logging.getLogger("dermquery.serve").error("the page failed", exc_info=error)
    return texts.FAILED_UNEXPECTED
