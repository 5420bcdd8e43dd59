"""``dermquery audit``: read and check the audit log of the service."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import Console

__all__ = ["app"]

app = typer.Typer(help="The audit log: who searched, viewed and changed what.", no_args_is_help=True)
FolderArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Folder of the log: STATE/audit, or the state folder itself.")
]

_FRONT = ("line", "time", "event", "principal", "method", "previous")


@app.command()
@expected_errors
def verify(
    folder: FolderArgument,
    anchor: Annotated[
        list[str] | None,
        typer.Option("--anchor", metavar="LINE:SHA256", help="What an earlier verify printed; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check that no line was changed, removed, added or moved; exits with 1 at the first bad line."""
    from dermquery.serve.audit_chain import BadLine
    from dermquery.serve.audit_chain import verify as verify_log

    where = _log_in(folder)
    found = verify_log(where, dict(_anchor(text) for text in anchor or ()))
    if isinstance(found, BadLine):
        if as_json:
            typer.echo(json.dumps({"good": False, "file": found.file, "row": found.row, "reason": found.reason}))
        else:
            said = f"{where / found.file}, row {found.row}: {found.reason}"
            Console(stderr=True, soft_wrap=True).print(Text.assemble(("bad line: ", "bold red"), said))
        raise typer.Exit(1)
    if as_json:
        typer.echo(json.dumps({"good": True, **vars(found)}))
        return
    lines = [f"{where}: lines {found.first} to {found.last} in {found.files} file(s), the chain holds."]
    if found.first > 1:
        lines.append(f"Lines before {found.first} are not here; check them where they were moved to.")
    if found.unfinished:
        lines.append(f"An unfinished last line ({found.unfinished} bytes) was never acknowledged.")
    if found.last:
        lines.append(f"Keep this elsewhere, for --anchor next time: {found.last}:{found.sha256}")
    Console(soft_wrap=True).print(Text("\n".join(lines)))


@app.command()
@expected_errors
def show(
    folder: FolderArgument,
    event: Annotated[list[str] | None, typer.Option("--event", help="Only these events; repeatable.")] = None,
    principal: Annotated[str | None, typer.Option("--principal", help="Only what this one did.")] = None,
    case: Annotated[str | None, typer.Option("--case", help="Only lines that name this case.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", help="Only from this time on (UTC).", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    ] = None,
    last: Annotated[int | None, typer.Option("--last", min=1, help="Only so many, the last ones.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the lines as they are.")] = False,
) -> None:
    """Print the lines of the log; `dermquery audit verify` checks that nobody altered them."""
    from dermquery.serve.audit_chain import read_lines

    wanted = (
        line
        for line in read_lines(_log_in(folder))
        if (not event or line.get("event") in event)
        and (principal is None or line.get("principal") == principal)
        and (since is None or datetime.fromisoformat(line["time"]) >= since.replace(tzinfo=UTC))
        and (case is None or case in _texts(line))
    )
    for line in wanted if last is None else deque(wanted, last):
        typer.echo(json.dumps(line, ensure_ascii=True) if as_json else _one_line(line))


def _one_line(line: dict[str, Any]) -> str:
    """A line for people. Text of users stays quoted, so that it cannot imitate a line or control the terminal."""
    facts = " ".join(f"{name}={json.dumps(value)}" for name, value in line.items() if name not in _FRONT)
    who = json.dumps(line.get("principal") or "-")[1:-1]
    return f"{line.get('line')} {line.get('time')} {line.get('event')} {who} {facts}".rstrip()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _log_in(folder: Path) -> Path:
    from dermquery.serve.audit_chain import files_of

    for candidate in (folder, folder / "audit"):
        if files_of(candidate):
            return candidate
    raise FileNotFoundError(f"no audit log in {folder}; give the folder 'audit' in the state folder of the service")


def _anchor(text: str) -> tuple[int, str]:
    number, _, sha256 = text.partition(":")
    if not number.isdecimal() or len(sha256) != 64:
        raise ValueError(f"anchor {text!r} is not LINE:SHA256, as dermquery audit verify prints it")
    return int(number), sha256.lower()
