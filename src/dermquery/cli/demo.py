"""`dermquery demo`: the main job from end to end on synthetic cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dermquery.cli.expected_errors import expected_errors

__all__ = ["demo"]

NOTICE = "These cases are synthetic: rendered by a program, not photographed."
_SEED = 2024  # not the seed of the cases that the demo model was trained on
_SHOWN = {"pigment_network": "atypical", "blue_whitish_veil": "present"}


@expected_errors
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for cases, base and result.")] = Path("demo"),
    n: Annotated[int, typer.Option("--n", min=20, help="Cases in the base.")] = 120,
    model: Annotated[str, typer.Option("--model", help="Shipped model or artifact folder.")] = "demo",
) -> None:
    """Make a synthetic case base, ask it for an image with words, and write the answer as a page and a picture."""
    from dermquery.answer.html import write_html
    from dermquery.answer.png import write_png
    from dermquery.cli.search import print_result
    from dermquery.data.case_table import read_cases
    from dermquery.lab.synthetic import synthesize
    from dermquery.store.casebase import CaseBase

    console = Console()
    console.print(f"[bold]1[/]  rendering {n + 20} synthetic dermoscopy cases into {out / 'cases'}")
    with typer.progressbar(length=n + 20, label="   cases") as bar:
        table = synthesize(out / "cases", n=n + 20, seed=_SEED, size=(384, 384), workers=2, progress=bar.update)
    cases = read_cases(table, need=("diagnosis",)).cases
    searched, others = cases[:n], cases[n:]
    known = {case.lesion_id for case in searched}
    fitting = [c for c in others if c.lesion_id not in known and c.diagnosis == "mel"]
    asking = max(fitting or others, key=lambda c: sum(c.checklist.get(k) == v for k, v in _SHOWN.items()))
    console.print(f"[bold]2[/]  loading the model '{model}' and indexing {n} cases into {out / 'base'}")
    base = CaseBase.open_or_create(out / "base", model)
    base.add(searched)
    text = "atypical network, blue-whitish veil"
    console.print(f"[bold]3[/]  asking with {asking.image} and “{text}”\n")
    result = base.search(image=asking.image, text=text, top_k=5, exclude_lesion=asking.lesion_id)
    print_result(result, base)
    page = write_html(result, out / "result.html", notice=NOTICE)
    picture = write_png(result, out / "result.png", notice=NOTICE)
    console.print(f"\n[bold yellow]{NOTICE}[/]\npage     {page}\npicture  {picture}", highlight=False)
