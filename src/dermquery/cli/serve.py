"""``dermquery serve``: the HTTP API and the web page over one case base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import Console

__all__ = ["serve"]


@expected_errors
def serve(
    base: Annotated[
        str | None, typer.Option("--base", help="Folder of the case base, or milvus://host:port/name.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with a section named serve.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen at; 127.0.0.1 if not given.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen at; 8420 if not given, 0 for any.")] = None,
    model: Annotated[str | None, typer.Option(help="Model to encode with; the base's own if not given.")] = None,
    state: Annotated[Path | None, typer.Option(help="Folder of keys, users, jobs and the audit log.")] = None,
    notice: Annotated[str | None, typer.Option(help="A line shown on every page.")] = None,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Serve the web page beside the API.")] = True,
) -> None:
    """Serve a case base: the API under /api/v1, the page under /.

    Without keys or users it listens on this machine only, and everybody on this machine has every right.
    """
    try:
        import uvicorn

        from dermquery.serve.app import create_app
        from dermquery.serve.security.binding import authentication
        from dermquery.serve.server import Server, server_options
        from dermquery.serve.settings import load_settings
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is missing; install it with: pip install 'dermquery[serve]'"
        ) from error

    flags = {"base": base, "host": host, "port": port, "model": model, "state": state, "notice": notice}
    settings = load_settings(config, **flags)
    app = create_app(settings, page=page)
    who = ", ".join(authentication(settings)) or "open to everybody on this machine"
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    Console(stderr=True).print(
        Text(f"dermquery at http://{shown}:{settings.port}{settings.root_path}/ ({who}); state in {settings.state}"),
        soft_wrap=True,
    )
    _log_requests()
    Server(uvicorn.Config(app, **server_options(settings), log_level="warning")).run()  # type: ignore[arg-type]


def _log_requests() -> None:
    """One line a request on standard error, and none of the libraries' own, which quote addresses."""
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    access = logging.getLogger("dermquery.access")
    access.addHandler(handler)
    access.setLevel(logging.INFO)
    access.propagate = False
