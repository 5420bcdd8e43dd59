"""What a person reads about an error: no path of the server's machine, and nothing internal."""

from __future__ import annotations

import logging

from starlette.requests import ClientDisconnect

from dermquery.answer.language import _, said
from dermquery.serve.audit_log import AuditError
from dermquery.serve.errors import answer_to
from dermquery.serve.security.identity import RefusedError

__all__ = ["AskError", "words_for"]

_FOR_THE_CHAIN = (ClientDisconnect, AuditError, RefusedError)


class AskError(ValueError):
    """A request cannot be met; the message is for the person who made it.

    Attributes:
        status: of the answer.
    """

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


def words_for(error: Exception) -> tuple[int, str]:
    """Status and message for an error; an unexpected error goes to the log.

    Raises:
        Exception: the error itself, where the chain around the app has to see it.
    """
    if isinstance(error, _FOR_THE_CHAIN):
        raise error
    if isinstance(error, AskError):
        return error.status, str(error)
    known = answer_to(error)
    if known is None:
        logging.getLogger("dermquery.serve").error("the page failed", exc_info=error)
        return 500, _("Something went wrong that should not; the server's log has it. Tell who runs the server.")
    title = known[1]
    own = {
        "Base is empty": _("The base holds no case yet; add some first."),
        "Base is read-only": _(
            "This base is of an earlier version: it can be searched, but not changed. Its operator can upgrade it "
            "(dermquery base upgrade)."
        ),
        "Case exists": _("The base has this case already."),
        "Search not kept": _("This search is not kept any more; search again."),
    }
    return known[0], own.get(title, said(known[2]))
