"""``dermquery keys`` and ``dermquery users``: who may use the service."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import Console

__all__ = ["app", "state_folder", "users_app"]

app = typer.Typer(help="API keys of the service: for programs.", no_args_is_help=True)
users_app = typer.Typer(help="People who sign in at the page of the service.", no_args_is_help=True)


class ScopeName(StrEnum):
    """Rights of a key or user; each includes those before it."""

    read = "read"
    write = "write"
    admin = "admin"


StateOption = Annotated[
    Path | None,
    typer.Option("--state", help="State folder of the service; by default $DERMQUERY_STATE, or the one of --config."),
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file of the service, with a section serve.")]
ScopeOption = Annotated[ScopeName, typer.Option("--scope", help="read, write (and read) or admin (and both).")]
DaysOption = Annotated[float | None, typer.Option("--days", min=0.001, help="Valid for so many days.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Id or name of the key.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name to sign in with.")]


def state_folder(state: Path | None, config: Path | None) -> Path:
    """The state folder that the options name, read as the service reads them."""
    from dermquery.serve.settings import default_state, load_settings, usable_state

    if state is not None or config is None:
        return usable_state(state or default_state())
    return usable_state(load_settings(config, base="unused").state)


@app.command()
@expected_errors
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is; the audit log has this name.")],
    scope: ScopeOption = ScopeName.read,
    days: DaysOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a key. It is printed now and never again; only a hash is kept."""
    from dermquery.serve.security.api_keys import KeyFile

    folder = state_folder(state, config)
    _print_secret(KeyFile(folder / "keys.json").create(name, scope.value, days), f"key {name!r} ({scope.value})", days)


@app.command(name="list")
@expected_errors
def list_keys(state: StateOption = None, config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """List the keys, without anything secret."""
    from dermquery.serve.security.api_keys import KeyFile

    keys, now = KeyFile(state_folder(state, config) / "keys.json").list(), datetime.now(UTC)
    if as_json:
        shown = {key_id: key.model_dump(mode="json", exclude={"sha256"}) for key_id, key in keys.items()}
        typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    rows = [
        (key_id, key.name, key.scope, _when(key.created), _expiry(key.expires, now)) for key_id, key in keys.items()
    ]
    _print_table(("id", "name", "scope", "made", "valid until"), rows, "There are no keys.")


@app.command()
@expected_errors
def rotate(
    key: KeyArgument,
    grace_hours: Annotated[float, typer.Option(min=0, help="How long the old key stays valid.")] = 24,
    days: DaysOption = None,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a key that replaces another one; the old one stays valid for a while."""
    from dermquery.serve.security.api_keys import KeyFile

    file = KeyFile(state_folder(state, config) / "keys.json")
    secret = file.rotate(key, timedelta(hours=grace_hours), days)
    _print_secret(secret, f"successor of key {key!r}, which stays valid for {grace_hours:g} hours", days)


@app.command()
@expected_errors
def revoke(key: KeyArgument, state: StateOption = None, config: ConfigOption = None) -> None:
    """Remove a key, or all keys of a name; the service refuses them at once."""
    from dermquery.serve.security.api_keys import KeyFile

    gone = KeyFile(state_folder(state, config) / "keys.json").revoke(key)
    Console(soft_wrap=True).print(Text(f"revoked: {', '.join(gone)}"))


@users_app.command()
@expected_errors
def add(
    name: NameArgument,
    scope: ScopeOption = ScopeName.read,
    state: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Add a user. The password is asked for or read from standard input, never an option, which others could see."""
    from dermquery.serve.security.users import UserFile

    UserFile(state_folder(state, config) / "users.json").add(name, scope.value, _password(name))
    Console(soft_wrap=True).print(Text(f"{name} may sign in ({scope.value})."))


@users_app.command()
@expected_errors
def passwd(name: NameArgument, state: StateOption = None, config: ConfigOption = None) -> None:
    """Set a user's new password; this signs them out everywhere."""
    from dermquery.serve.security.users import UserFile

    UserFile(state_folder(state, config) / "users.json").set_password(name, _password(name))
    Console(soft_wrap=True).print(Text(f"{name} has a new password."))


@users_app.command()
@expected_errors
def remove(name: NameArgument, state: StateOption = None, config: ConfigOption = None) -> None:
    """Remove a user; this signs them out everywhere."""
    from dermquery.serve.security.users import UserFile

    UserFile(state_folder(state, config) / "users.json").remove(name)
    Console(soft_wrap=True).print(Text(f"{name} may not sign in any more."))


@users_app.command(name="list")
@expected_errors
def list_users(state: StateOption = None, config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """List the users, without their passwords."""
    from dermquery.serve.security.users import UserFile

    users = UserFile(state_folder(state, config) / "users.json").list()
    if as_json:
        shown = {name: user.model_dump(mode="json", exclude={"password"}) for name, user in users.items()}
        typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    rows = [(name, user.scope, _when(user.changed)) for name, user in users.items()]
    _print_table(("name", "scope", "password set"), rows, "There is nobody.")


def _password(name: str) -> str:
    """From the terminal, twice and unseen; or the first line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _print_secret(secret: str, what: str, days: float | None) -> None:
    """Print the key alone on standard output, so that it can be piped, and the advice on stderr."""
    Console(stderr=True, soft_wrap=True).print(
        Text(
            f"{what}{'' if days is None else f', valid for {days:g} days'}. Keep it now, it is not shown again. "
            "Send it as 'Authorization: Bearer KEY'."
        )
    )
    typer.echo(secret)


def _print_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], empty: str) -> None:
    out = Console(soft_wrap=True)
    if not rows:
        out.print(Text(empty))
        return
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _expiry(expires: datetime | None, now: datetime) -> str:
    if expires is None:
        return "no end"
    return _when(expires) if now < expires else f"expired {_when(expires)}"
