"""`dermquery demo`: index and search synthetic cases, from end to end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

import dermquery
from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import Console

__all__ = ["demo"]

NOTICE = "These cases are synthetic: rendered by a program, not photographed."
_CASES = Path(dermquery.__file__).parent / "demo_cases"
"""140 cases that the demo model was not trained on; docs/data.md names the command that wrote them."""
_IN_BASE = 120
_KEPT_OUT = 20
"""The first of them, so that there is something to ask with, and to add."""
_SHOWN = {"pigment_network": "atypical", "blue_whitish_veil": "present"}


@expected_errors
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for cases, base and result.")] = Path("demo"),
    n: Annotated[int, typer.Option("--n", min=20, max=_IN_BASE, help="Cases in the base.")] = _IN_BASE,
    model: Annotated[str, typer.Option("--model", help="Shipped model or artifact folder.")] = "demo",
) -> None:
    """Index the synthetic cases of the package, search them by an image and words, and save the answer."""
    from dermquery.answer.html import write_html
    from dermquery.answer.png import write_png
    from dermquery.cli.hits_table import print_result
    from dermquery.data.case_table import read_cases
    from dermquery.store.casebase import CaseBase

    console = Console()
    console.print(f"[bold]1[/]  copying synthetic dermoscopy cases to {out / 'cases'}")
    shutil.copytree(_CASES, out / "cases", dirs_exist_ok=True)
    cases = read_cases(out / "cases" / "cases.csv", need=("diagnosis",)).cases
    others, searched = cases[:_KEPT_OUT], cases[_KEPT_OUT : _KEPT_OUT + n]
    known = {case.lesion_key for case in searched}
    fitting = [case for case in others if case.lesion_key not in known and case.diagnosis == "mel"]
    asking = max(fitting, key=lambda case: sum(case.checklist.get(k) == v for k, v in _SHOWN.items()))
    console.print(f"[bold]2[/]  loading the model '{model}' and indexing {n} cases into {out / 'base'}")
    base = CaseBase.open_or_create(out / "base", model)
    base.add(searched)
    text = "atypical network, blue-whitish veil"
    console.print(f"[bold]3[/]  searching with {asking.image} and “{text}”\n")
    result = base.search(image=asking.image, text=text, top_k=5)
    print_result(result, base)
    page = write_html(result, out / "result.html", notice=NOTICE)
    picture = write_png(result, out / "result.png", notice=NOTICE)
    console.print(f"\n[bold yellow]{NOTICE}[/]\npage     {page}\npicture  {picture}", highlight=False)
