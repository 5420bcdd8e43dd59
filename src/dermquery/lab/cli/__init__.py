"""The commands of the laboratory, which join the ``dermquery`` program through an entry point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

__all__ = ["join"]

_PANEL = r"Laboratory (pip install 'dermquery\[lab]')"


def join(program: typer.Typer) -> None:
    """Add the laboratory's commands to the program, in a panel of their own, and two to its ``data`` commands."""
    # Imported here, for the commands import modules of the program, whose package calls this function.
    from dermquery.lab.bench import cli as bench
    from dermquery.lab.cli.compare import ablate, compare, crossval
    from dermquery.lab.cli.evaluate import evaluate, evaluate_eye, evaluate_regions, evaluate_text, figures
    from dermquery.lab.cli.evaluate_quality import evaluate_quality
    from dermquery.lab.cli.model import describe_config, fit_heads, pack
    from dermquery.lab.cli.synthetic_data import folds, synthesize
    from dermquery.lab.cli.train import teach, train, tune

    commands: tuple[Callable[..., Any], ...] = (
        train, teach, tune, crossval, compare, ablate, evaluate, evaluate_text, evaluate_regions, evaluate_eye,
        evaluate_quality, figures, describe_config, fit_heads, pack,
    )  # fmt: skip
    for command in commands:
        program.command(rich_help_panel=_PANEL)(command)
    program.add_typer(bench.app, name="bench", rich_help_panel=_PANEL)
    data = next(group.typer_instance for group in program.registered_groups if group.name == "data")
    assert data is not None  # noqa: S101 - the program is made with it
    for command in (synthesize, folds):
        data.command(rich_help_panel=_PANEL)(command)
