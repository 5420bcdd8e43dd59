"""Which cases ask and which are searched when one model is evaluated, and whether it has seen them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dermquery.cli.plain_text import Console
from dermquery.lab.cli.train import labelled_cases

if TYPE_CHECKING:
    from dermquery.model.encoder import ComposedModel

__all__ = ["asked_sets", "check_asked", "grouped", "held_out_of"]


def asked_sets(
    protocol: str, gallery: Path | None, queries: Path | None, data: Path | None, folds: Path | None, fold: int
) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """Queries, gallery, and the facts about them for the provenance."""
    from dermquery.data.case_table import read_cases
    from dermquery.data.meant import did_you_mean
    from dermquery.lab.data.folds import Folds, published_folds
    from dermquery.lab.evaluate.protocols import Protocol, protocol_sets

    if protocol not in (names := [one.value for one in Protocol]):
        raise ValueError(
            f"unknown protocol {protocol!r}; use one of: {', '.join(names)}{did_you_mean(protocol, names)}"
        )
    chosen = Protocol(protocol)
    if chosen is Protocol.EXTERNAL:
        if gallery is None:
            raise ValueError("the external protocol needs --gallery (and --queries, if others ask)")
        searched = list(read_cases(gallery, need=("diagnosis",)))
        return searched if queries is None else list(read_cases(queries, need=("diagnosis",))), searched, {}
    if data is None:
        raise ValueError(f"the {chosen} protocol needs --data: a case table, or the folder that `data prepare` wrote")
    cases = labelled_cases(data)
    splits = published_folds(cases) if folds is None else Folds.load(folds, cases)
    asking, searched = protocol_sets(chosen, splits, fold, cases)
    return asking, searched, splits.facts(fold)


def held_out_of(cases: Sequence[Any], share: int, protocol: str) -> list[Any]:
    """Those of external cases whose lesions are the one in so many that is kept from training.

    Raises:
        ValueError: the protocol has a fold for that, or none of the cases is.
    """
    from dermquery.lab.experiment import held_out

    if protocol != "external":
        raise ValueError(f"--held-out chooses among the lesions of --gallery; the {protocol} protocol has its fold")
    kept = [case for case in cases if held_out(case, share)]
    if not kept:
        raise ValueError(f"none of {len(cases)} cases belongs to the one lesion in {share} that is held out")
    return kept


def grouped(cases: Sequence[Any], by: str) -> list[Any]:
    """The cases with another label as their diagnosis; how many lack it, and are left out, is said."""
    from dermquery.lab.evaluate.levels import regrouped

    if by == "diagnosis":
        return list(cases)
    found, left_out = regrouped(cases, by)
    if left_out:
        Console(stderr=True).print(f"[yellow]{left_out} of {len(cases)} cases have no {by} and are left out[/]")
    return found


def check_asked(
    model: ComposedModel,
    protocol: str,
    asking: Sequence[Any],
    searched: Sequence[Any],
    asked: Mapping[str, Any],
    *,
    include_known: bool = False,
) -> dict[str, Any]:
    """Refuse queries that the model was trained on, or count them; the gallery some protocols let it know.

    What a model learnt from, through its teacher as well, is known to it: a teacher's labels are no clean figure.
    """
    from dermquery.lab.bench.judging import check_unseen
    from dermquery.lab.data.trained_on import check_not_trained_on, were_trained_on

    console = Console(stderr=True)
    if "fold" in asked and not include_known:
        check_unseen(model, asked["folds_sha256"], asked["fold"])
    if not len(model.trained_on):
        console.print(f"[yellow]{model.name} does not say which images it was trained on, so nothing was checked[/]")
        return {"trained_on": None}
    told = int(were_trained_on(model.trained_on, asking).sum()) if include_known else 0
    if told:
        console.print(f"[yellow]{told} of the {len(asking)} cases that ask were trained on by {model.name}[/]")
    else:
        check_not_trained_on(model.name, model.trained_on, asking, "cases that ask")
    known = int(were_trained_on(model.trained_on, searched).sum())
    if known and protocol != "seen":
        console.print(f"[yellow]{known} of the {len(searched)} cases of the gallery were trained on by {model.name}[/]")
    return {"trained_on": {"queries": told, "gallery": known, "gallery_size": len(searched)}}
