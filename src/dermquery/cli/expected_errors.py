"""Every command prints an expected error as one clear message."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer
from rich.text import Text

from dermquery.cli.plain_text import Console

__all__ = ["expected_errors"]

_LABORATORY = "dermquery.lab."
P = ParamSpec("P")
R = TypeVar("R")


def expected_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Print an error that users can mend as one message on stderr and exit with 2; a defect keeps its traceback.

    A command of the laboratory that lacks a library names the extra to install. ``DERMQUERY_TRACEBACK=1`` shows the
    traceback of expected errors too.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (ValueError, OSError, ModuleNotFoundError) as error:
            if os.environ.get("DERMQUERY_TRACEBACK"):
                raise
            message = _told(error)
            # Python names the module that it did not find; our own messages name the remedy themselves.
            if isinstance(error, ModuleNotFoundError) and error.name and command.__module__.startswith(_LABORATORY):
                library = error.name.partition(".")[0]
                message = f"{library} is missing; the laboratory's commands need: pip install 'dermquery[lab]'"
            Console(stderr=True).print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
            raise typer.Exit(2) from error

    return wrapped


def _told(error: Exception) -> str:
    """An error's message; of a schema's complaints, what is wrong and not where in our code."""
    complaints = getattr(error, "errors", None)
    if not callable(complaints):
        return str(error)
    return "; ".join(str(found["msg"]).removeprefix("Value error, ") for found in complaints())
