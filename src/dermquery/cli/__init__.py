"""The command line. Heavy packages are imported inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import typer

from dermquery import __version__
from dermquery.cli import audit, base, bench, data, demo, keys
from dermquery.cli.compare import ablate, compare
from dermquery.cli.evaluate import evaluate, evaluate_regions, evaluate_text, figures
from dermquery.cli.index import index
from dermquery.cli.model import describe, pack
from dermquery.cli.quality import evaluate_quality
from dermquery.cli.search import search
from dermquery.cli.serve import serve
from dermquery.cli.train import crossval, train

__all__ = ["app", "main"]

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


app.add_typer(data.app, name="data")
app.add_typer(base.app, name="base")
app.add_typer(keys.app, name="keys")
app.add_typer(keys.users_app, name="users")
app.add_typer(audit.app, name="audit")
app.add_typer(bench.app, name="bench")
for command in (
    train,
    crossval,
    compare,
    ablate,
    evaluate,
    evaluate_text,
    evaluate_regions,
    evaluate_quality,
    figures,
    describe,
    pack,
    index,
    search,
    serve,
):
    app.command()(command)
app.command(name="demo")(demo.demo)


def main() -> None:
    """Entry point of the `dermquery` program."""
    app()
