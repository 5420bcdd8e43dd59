"""The command line. Commands import heavy packages when they run, so `--help` answers at once.

This module adds the product's commands. Other packages join through the entry point ``dermquery.commands``, which names
a function that takes the program and adds commands to it, as the laboratory does (``dermquery[lab]``).
"""

from __future__ import annotations

import sys
from functools import cache

import typer

from dermquery import __version__
from dermquery.cli import audit, base, data, keys
from dermquery.cli.demo import demo
from dermquery.cli.describe import describe
from dermquery.cli.index import index
from dermquery.cli.plain_text import say
from dermquery.cli.search import search
from dermquery.cli.serve import serve

__all__ = ["SEARCH_PANEL", "app", "join_others", "main"]

SEARCH_PANEL = "Case search"

app = typer.Typer(
    name="dermquery",
    help="Case search for skin cancer: an image and words in, the most similar cases out. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


def _version(*, value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=lambda value: _version(value=value), is_eager=True, help="Print the version."
    ),
) -> None:
    """Options of the program itself."""


_COMMANDS = (demo, index, search, serve, describe)
for command in _COMMANDS:
    app.command(rich_help_panel=SEARCH_PANEL)(command)
app.add_typer(base.app, name="base", rich_help_panel=SEARCH_PANEL)
app.add_typer(data.app, name="data", rich_help_panel=SEARCH_PANEL)
app.add_typer(keys.app, name="keys", rich_help_panel=SEARCH_PANEL)
app.add_typer(keys.users_app, name="users", rich_help_panel=SEARCH_PANEL)
app.add_typer(audit.app, name="audit", rich_help_panel=SEARCH_PANEL)


@cache
def join_others() -> None:
    """Let the commands of entry points join the program, once; a broken package is named, and leaves the rest alone."""
    from importlib.metadata import entry_points

    from dermquery.extensions import broken, is_ours

    for entry in sorted(entry_points(group="dermquery.commands")):
        try:
            entry.load()(app)
        except Exception as error:
            if is_ours(entry):
                raise
            say(f"warning: {broken(entry, 'command', error)}", err=True)


_OWN = {command.__name__ for command in _COMMANDS} | {"base", "keys", "users", "audit"}


def main() -> None:
    """Entry point of the `dermquery` program. Others join only where they may be meant: to look for them takes .1 s."""
    if not _OWN.intersection(sys.argv[1:2]):
        join_others()
    app()
