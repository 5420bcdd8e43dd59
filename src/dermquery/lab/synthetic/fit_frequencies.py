"""Fit the numbers of :mod:`.frequencies`: latent profiles of Derm7pt's table.

Within one diagnosis group a few *profiles* explain the recorded variables: given the profile, they are independent.
This is the latent class model (Lazarsfeld and Henry, 1968), fitted by expectation-maximisation. At the
optimum the mixture has exactly the observed frequencies of every variable, and the profiles carry the dependences
between variables, so that the seven-point score spreads as it does in the release. Only the fitted probabilities
leave this module, no row of the release.

Run ``python -m dermquery.lab.synthetic.fit_frequencies RELEASE_DIR/meta/meta.csv`` to print the table again.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from dermquery.data.checklist import CRITERIA
from dermquery.lab.synthetic.frequencies import JOINED, JOINT

__all__ = ["PROFILES", "VARIABLES", "fit_profiles", "group_of", "read_release"]

PROFILES = {"mel": 4, "nv": 6, "bkl": 3}
"""Profiles per group: the fewest that reproduce the distribution of the seven-point score."""

VARIABLES = ("fine_diagnosis", "elevation", "site", *(c for c in CRITERIA if c not in JOINED), JOINT)
"""The variables of a profile."""

_Floats = npt.NDArray[np.float64]


def group_of(diagnosis: str) -> str | None:
    """The group of one of Derm7pt's diagnoses: "mel", "nv", "bkl", or None for those outside the 888."""
    if diagnosis.startswith("melanoma"):
        return "mel"
    if "nevus" in diagnosis:
        return "nv"
    return "bkl" if diagnosis in {"seborrheic keratosis", "melanosis"} else None


def read_release(meta: Path) -> dict[str, pd.DataFrame]:
    """The eligible rows of Derm7pt's ``meta.csv`` by group, with the columns of ``VARIABLES`` and ``sex``."""
    table = pd.read_csv(meta, keep_default_na=False)
    table = table.rename(columns={"diagnosis": "fine_diagnosis", "location": "site"})
    table[JOINT] = table[JOINED[0]] + " + " + table[JOINED[1]]
    groups = table["fine_diagnosis"].map(group_of)
    return {group: table.loc[groups == group, [*VARIABLES, "sex"]] for group in PROFILES}


def fit_profiles(
    table: pd.DataFrame, profiles: int, *, restarts: int = 20, steps: int = 400, seed: int = 0
) -> tuple[_Floats, dict[str, pd.DataFrame]]:
    """Fit the latent class model to the categorical columns of a table.

    Args:
        table: one row per case, every column categorical, without gaps.
        profiles: number of latent profiles.
        restarts: random starts, of which the most likely is kept.
        steps: steps of expectation-maximisation per start.
        seed: of the random starts.

    Returns:
        Profile weights, shape (profiles,), largest first; and per column a frame of probabilities with one row per
        profile (each sums to 1) and one column per value.
    """
    shown = {name: pd.get_dummies(table[name], dtype=float) for name in table.columns}
    everything = np.concatenate([frame.to_numpy() for frame in shown.values()], axis=1)
    rng = np.random.default_rng(seed)
    best, best_likelihood = np.zeros((0, 0)), -np.inf
    for _ in range(restarts):
        share = rng.dirichlet(np.ones(profiles), len(table))
        likelihood = -np.inf
        for _ in range(steps):
            weights = share.mean(axis=0)
            chances = (share.T @ everything + 1e-9) / (share.sum(axis=0)[:, None] + 1e-9)
            joint = np.log(weights + 1e-12) + everything @ np.log(chances.T)
            top = joint.max(axis=1, keepdims=True)
            total = np.exp(joint - top).sum(axis=1, keepdims=True)
            share = np.exp(joint - top) / total
            likelihood = float((top + np.log(total)).sum())
        if likelihood > best_likelihood:
            best, best_likelihood = share, likelihood
    best = best[:, np.argsort(-best.sum(axis=0))]
    weights = best.mean(axis=0)
    fitted = {
        name: pd.DataFrame((best.T @ frame.to_numpy()) / best.sum(axis=0)[:, None], columns=frame.columns)
        for name, frame in shown.items()
    }
    return weights, fitted


def _print_table(meta: Path) -> None:
    """Print the fitted profiles as the Python literal that :mod:`.frequencies` holds, in parts per thousand."""
    out = sys.stdout
    for group, table in read_release(meta).items():
        weights, fitted = fit_profiles(table[list(VARIABLES)], PROFILES[group])
        out.write(f'"{group}": Group({len(table)}, {json.dumps(table["sex"].value_counts().to_dict())}, (\n')
        for number, weight in enumerate(weights):
            chances = {
                name: {str(value): round(1000 * float(frame[value].iloc[number])) for value in frame.columns}
                for name, frame in fitted.items()
            }
            kept = {name: {value: p for value, p in row.items() if p} for name, row in chances.items()}
            out.write(f"    Profile({1000 * weight:.0f}, {{\n")
            for name, row in kept.items():
                entry = f'"{name}": {json.dumps(row)},'.replace(", ", ",\n").replace(" ", "~").replace("\n", " ")
                lines = textwrap.wrap(entry, 118, initial_indent=" " * 8, subsequent_indent=" " * 12)
                out.write("\n".join(lines).replace("~", " ") + "\n")
            out.write("    }),\n")
        out.write(")),\n")


if __name__ == "__main__":
    _print_table(Path(sys.argv[1]))
