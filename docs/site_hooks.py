"""What the site has beside the pages of this folder: change log, the models' cards, the command line's reference.

They are made of the files and the program themselves, so none can lag behind. Links to source files, which the site
does not hold, keep their words.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

import typer
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click
from typer.main import get_command

_ROOT = Path(__file__).parent.parent
_CARD = "src/dermquery/model/shipped/{}/README.md"
_MODELS = ("derm-lite", "demo")
_PAGES = {"CHANGELOG.md": "changelog.md"} | {_CARD.format(name): f"models/{name}.md" for name in _MODELS}
_SHIM = "https://unpkg.com/iframe-worker/shim"
_LINK = re.compile(r"\[(?P<words>[^\]]*)\]\((?P<target>[^)#\s]*)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made of other files."""
    made = {page: (_ROOT / source).read_text(encoding="utf-8") for source, page in _PAGES.items()}
    made["reference/cli.md"] = _command_line()
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Lead links out of the folder to the pages that stand for them, or keep their words alone."""
    here = Path(page.file.src_uri).parent
    source = {made: source for source, made in _PAGES.items()}.get(page.file.src_uri)
    folder = _ROOT / (Path(source).parent if source else Path("docs") / here)

    def led(link: re.Match[str]) -> str:
        target = link["target"]
        if not target or "://" in target or target.startswith("mailto:"):
            return link[0]
        found = (folder / target).resolve()
        if not found.exists():
            return link[0]  # which the strict build refuses
        inside = found.is_relative_to(_ROOT / "docs")
        name = _PAGES.get(str(found.relative_to(_ROOT))) or (str(found.relative_to(_ROOT / "docs")) if inside else None)
        if name is None or found.is_dir():
            return link["words"]
        up = "../" * len(here.parts)
        return f"[{link['words']}]({up}{name}{link['anchor'] or ''})"

    return _LINK.sub(led, markdown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """The theme fetches what searches a folder without a server from elsewhere; the site has it itself."""
    return output.replace(_SHIM, "../" * page.url.count("/") + "assets/iframe-worker.js")


def on_post_template(output: str, template_name: str, config: Any) -> str:
    """The same for the page that says that there is none."""
    return output.replace(_SHIM, "/assets/iframe-worker.js")


def _command_line() -> str:
    """The help of every command, of the laboratory too, as Typer writes it."""
    from dermquery.cli import app, join_others

    join_others()
    command = get_command(app)
    kind = next(kind for kind in type(command).__mro__ if "get_short_help_str" in vars(kind))
    with patch.object(kind, "get_short_help_str", _first_paragraph):
        said = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="dermquery"), name="dermquery")
    return re.sub(r"^# .*$", "# Command line", said, count=1, flags=re.MULTILINE)


def _first_paragraph(command: Any, limit: int = 0) -> str:
    """What a list of commands says of one; a terminal would cut it to its width."""
    return command.short_help or (command.help or "").split("\n\n")[0].replace("\n", " ").strip()
