"""`dermquery evaluate-quality`: rates of false and of right warnings about query images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import Console

if TYPE_CHECKING:
    from dermquery.data.case import Case
    from dermquery.data.image import ImageSource
    from dermquery.model.encoder import ComposedModel

__all__ = ["evaluate_quality"]

_PICTURES = (".png", ".jpg", ".jpeg")


@expected_errors
def evaluate_quality(
    data: Annotated[Path, typer.Argument(help="Table of good dermoscopic cases, or the folder that holds it.")],
    clinical: Annotated[
        Path | None, typer.Option(help="Table of clinical close-ups of the same cases, by the same case ids.")
    ] = None,
    rendered: Annotated[Path | None, typer.Option(help="Table of synthetic cases, judged as dermoscopic.")] = None,
    other: Annotated[
        list[Path] | None, typer.Option(help="Folder of pictures of other things; scikit-image's own if absent.")
    ] = None,
    folds: Annotated[Path | None, typer.Option(help="Fold file; the published one of the table if absent.")] = None,
    fold: Annotated[int, typer.Option(help="Fold on whose test part the rates are reported.")] = 0,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Model with which likeness to a base is judged too.")
    ] = None,
    fit: Annotated[
        Path | None,
        typer.Option(help="First take the statistics of the other folds and write them here; needs --clinical."),
    ] = None,
    fit_rendered: Annotated[Path | None, typer.Option(help="Synthetic cases that --fit counts as dermoscopic.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", dir_okay=False, help="Write the result here.")] = None,
) -> None:
    """Rates of every warning about an image: on good dermoscopic images, on spoilt ones, on other pictures."""
    from dermquery.lab.data.folds import Folds, published_folds
    from dermquery.lab.experiment import provenance, write_json
    from dermquery.lab.studies.warning_rates import evaluate_quality as run
    from dermquery.model.load import load_model

    cases = _cases(data, need=("diagnosis",))
    splits = published_folds(cases) if folds is None else Folds.load(folds, cases)
    asked = splits.split(cases, fold).test
    test = {case.case_id for case in asked}
    rest = [case for case in cases if case.case_id not in test]
    close_ups = [] if clinical is None else _cases(clinical)
    if fit is not None:
        _fit(fit, rest, [] if fit_rendered is None else _cases(fit_rendered), close_ups, test)
        return
    good: dict[str, list[ImageSource]] = {"test fold": _images(asked), "other folds": _images(rest)}
    if rendered is not None:
        good |= _by_skin(_cases(rendered))
    others: dict[str, list[ImageSource]] = {folder.name: list(_pictures(folder)) for folder in other or [_bundled()]}
    if close_ups:
        others["clinical close-ups"] = _images([case for case in close_ups if case.case_id in test])
    encoder = None if model is None else load_model(model)
    result = run(good, others, spoil="test fold")
    if encoder is not None:
        result["likeness"] = _likeness(encoder, asked, rest, others)
    facts = {"fold": fold, "folds_sha256": splits.sha256, "model": model, "n_cases": len(cases)}
    if json_path is not None:
        write_json(json_path, {**result, "provenance": provenance(**facts)})
    _print(result)


def _cases(path: Path, need: Sequence[str] = ()) -> list[Case]:
    from dermquery.data.case_table import read_cases

    return list(read_cases(path / "cases.csv" if path.is_dir() else path, need=need))


def _images(cases: Sequence[Case]) -> list[ImageSource]:
    return [case.image for case in cases]


def _bundled() -> Path:
    """The folder of photographs and drawings that scikit-image is installed with."""
    import skimage

    return Path(skimage.__file__).parent / "data"


def _by_skin(cases: Sequence[Case]) -> dict[str, list[ImageSource]]:
    """Rendered cases by their skin type, which Derm7pt does not record."""
    found: dict[str, list[ImageSource]] = {}
    for case in sorted(cases, key=lambda case: case.skin_type or ""):
        found.setdefault(f"synthetic, skin type {case.skin_type or 'unknown'}", []).append(case.image)
    return found


def _pictures(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)
    if not found:
        raise ValueError(f"{folder} holds no picture ({', '.join(_PICTURES)}); name another folder by --other")
    return found


def _fit(path: Path, rest: list[Case], rendered: list[Case], close_ups: list[Case], test: set[str]) -> None:
    from dermquery.data.files import replacing
    from dermquery.lab.studies.warning_rates import fit_appearance

    if not close_ups:
        raise ValueError("--fit compares with clinical close-ups; give their table by --clinical")
    fitted = fit_appearance(
        _images(rest), _images(rendered), _images([case for case in close_ups if case.case_id not in test])
    )
    with replacing(path) as part:
        part.write_text(fitted.model_dump_json() + "\n", encoding="utf-8")
    typer.echo(path)


def _likeness(
    encoder: ComposedModel, asked: list[Case], rest: list[Case], others: dict[str, list[ImageSource]]
) -> list[dict[str, Any]]:
    from dermquery.data.image import load_image
    from dermquery.lab.studies.unlike_images import EQUATION_9, evaluate_likeness
    from dermquery.lab.studies.warning_rates import SPOILT
    from dermquery.model.presets import default_preset

    spoilt = {
        name: encoder.encode_case([change(load_image(case.image)) for case in asked]) for name, change in SPOILT.items()
    }
    foreign = {name: encoder.encode_case(images) for name, images in others.items()}
    searched_by = default_preset(encoder.presets)
    return evaluate_likeness(
        encoder.layout,
        (asked, encoder.encode_case(_images(asked))),
        (rest, encoder.encode_case(_images(rest))),
        {**foreign, **spoilt},
        {**EQUATION_9, searched_by: encoder.presets[searched_by]},
    )


def _print(result: dict[str, Any]) -> None:
    console = Console()
    for part in ("dermoscopic", "spoilt", "others"):
        sets: dict[str, dict[str, Any]] = result.get(part, {})
        if not sets:
            continue
        kinds = [name for name in next(iter(sets.values())) if name != "n"]
        table = Table(box=None, pad_edge=False)
        table.add_column(part, no_wrap=True)
        for name in ("n", *kinds):
            table.add_column(name, justify="right")
        for name, row in sets.items():
            table.add_row(name, str(row["n"]), *(f"{100 * row[kind]:.1f}" for kind in kinds))
        console.print(table)
    for row in result.get("likeness", []):
        rates = ", ".join(f"{name} {100 * row[name]:.0f}" for name in list(row)[4:])
        console.print(
            f"unlike {row['base']} (n {row['cases']}, {row['weights']}): "
            f"false alarms {100 * row['false_alarms']:.1f} %; {rates}"
        )
