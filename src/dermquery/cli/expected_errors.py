"""What all commands share: expected errors become one clear message."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.text import Text

__all__ = ["expected_errors"]

P = ParamSpec("P")
R = TypeVar("R")


def expected_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Print a user's error as one message on stderr and exit with 2; a defect of ours keeps its traceback.

    ``DERMQUERY_TRACEBACK=1`` shows the traceback of expected errors too.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (ValueError, OSError, ModuleNotFoundError) as error:
            if os.environ.get("DERMQUERY_TRACEBACK"):
                raise
            Console(stderr=True).print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
            raise typer.Exit(2) from error

    return wrapped
