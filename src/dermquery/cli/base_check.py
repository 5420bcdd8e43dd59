"""``dermquery base check``: whether a base is as it was written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from dermquery.cli.counts import counted
from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import Console

if TYPE_CHECKING:
    from dermquery.store.check import Checked

__all__ = ["check"]

_SHOWN = 20


@expected_errors
def check(
    base: Annotated[str, typer.Argument(metavar="BASE", help="Folder, or milvus://host:port/name.")],
    repair: Annotated[bool, typer.Option("--repair", help="Put right what can be, and look again.")] = False,
    model: Annotated[
        str | None, typer.Option("--model", help="Its model, where the base does not say or it was moved.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold rows, images, index and manifest against their checksums and each other, and say what to do.

    With --repair, single bits are turned back, images come back from where they were indexed from, wrong vectors are
    encoded again and the index is built again; a backup is asked for where nothing else helps. Exits with 1 if
    anything is wrong in the end.
    """
    from dermquery.cli.index import progress_bar
    from dermquery.store.check import check_base

    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task("checking", total=None, speed="", left="")
        found = check_base(
            base, repair=repair, model=model, tell=lambda n, total: bar.update(task, completed=n, total=total)
        )
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
    else:
        _print(found, base, repair=repair)
    if found.findings:
        raise typer.Exit(1)


def _print(found: Checked, base: str, *, repair: bool) -> None:
    lines = [f"{base}: {counted(found.cases, 'case')} and {counted(found.images, 'image')} looked at."]
    for title, items in (("mended", found.mended), ("wrong", found.findings)):
        lines += [f"  {title}: {item.kind} {item.name}: {item.message}" for item in items[:_SHOWN]]
        lines += [f"  and {len(items) - _SHOWN} more {title}"] if len(items) > _SHOWN else []
    if not found.findings:
        lines.append("Everything is as it was written.")
    elif repair:
        lines += [found.trouble] if found.trouble else []
        lines += [f"To do: {remedy}." for remedy in dict.fromkeys(item.remedy for item in found.findings)]
    else:
        lines.append(f"Mend what can be mended with: dermquery base check {base} --repair")
    Console(soft_wrap=True).print(Text("\n".join(lines)))
