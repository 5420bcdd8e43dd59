"""The commands of ``dermquery data prepare``: one for each installed source, made of what the source says of itself."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from dermquery.cli.bars import bar
from dermquery.cli.counts import counted
from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import say

if TYPE_CHECKING:
    from dermquery.data.sources.prepare import PrepareReport
    from dermquery.data.sources.source import Source

__all__ = ["CropOption", "OutOption", "SizeOption", "SkipOption", "SourceGroup", "finish", "print_counts"]

OutOption = Annotated[Path, typer.Option("--out", help="Folder to write to; an interrupted run is continued.")]
SizeOption = Annotated[
    int | None,
    typer.Option("--size", help="Remove the borders and make squares of so many pixels; the paper has 512."),
]
CropOption = Annotated[bool, typer.Option("--crop", help="Remove black frames and other borders.")]
SkipOption = Annotated[bool, typer.Option("--skip-bad", help="Leave out what cannot be used, and report how many.")]
_FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="The release: its images, at any depth.")]
_TablesArgument = Annotated[
    list[Path] | None, typer.Argument(metavar="TABLE", help="Its tables, if they are not in the folder.")
]


class SourceGroup(TyperGroup):
    """Commands that are looked for when somebody asks for them, so that the rest of the program starts at once."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *_names()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        from dermquery.data.sources.source import load_source
        from dermquery.extensions import ExtensionError

        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in _names():
            return own
        try:
            return _command(load_source(cmd_name))
        except ExtensionError as error:  # the others are listed and run all the same
            say(f"note: {error}", err=True)
            return None


def _names() -> list[str]:
    from dermquery.data.sources.source import source_names

    return source_names()


def _command(source: Source) -> Any:
    """A command with the arguments that every source has, and the flags of this one."""

    def run(
        folder: _FolderArgument,
        out: OutOption,
        tables: _TablesArgument = None,
        size: SizeOption = None,
        crop: CropOption = False,
        skip_bad: SkipOption = False,
        **flags: bool,
    ) -> None:
        from dermquery.data.sources.source import prepare_source

        chosen = [name for name, is_set in flags.items() if is_set]
        with bar(source.name) as step:
            report = prepare_source(
                source, folder, out, tables or (), flags=chosen, size=size, crop=crop, skip_bad=skip_bad, progress=step
            )
        finish(report, skip_bad=skip_bad)

    app = typer.Typer(add_completion=False)
    app.command(name=source.name, help=source.title)(_with_flags(expected_errors(run), source))
    return get_command(app)


def _with_flags(command: Any, source: Source) -> Any:
    """The command with an option for each flag, where its signature has ``**flags``."""
    signature = inspect.signature(command, eval_str=True)
    common = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    flags = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[bool, typer.Option(f"--{name}", help=text)],
        )
        for name, text in source.flags.items()
    ]
    command.__signature__ = signature.replace(parameters=[*common, *flags])
    command.__annotations__ = {each.name: each.annotation for each in (*common, *flags)}
    return command


def print_counts(diagnoses: Sequence[str | None]) -> None:
    """Print how many cases there are of each diagnosis, the most frequent first."""
    say(counted(len(diagnoses), "case"))
    for name, count in Counter(name or "(no diagnosis)" for name in diagnoses).most_common():
        say(f"{count:6d} {name}")


def finish(report: PrepareReport, *, skip_bad: bool) -> None:
    """Report the outcome; exit with 1 if a bad image was not to be left out, or no image is left."""
    for note in report.notes:
        say(f"note: {note}", err=True)
    for bad in report.bad:
        say(f"bad: {bad.case_id or 'no id'}: {bad.reason}", err=True)
    print_counts([case.diagnosis for case in report.cases])
    say(f"{report.made} images made, {report.kept} kept from before, {len(report.bad)} bad")
    if report.table is not None:
        say(str(report.table))
        return
    remedy = "" if skip_bad else ", or leave them out with --skip-bad"
    say(f"no table was written: correct the images listed above{remedy}", err=True)
    raise typer.Exit(1)
