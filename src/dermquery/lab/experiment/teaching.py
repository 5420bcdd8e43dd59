"""Teach a small backbone, or tune a large one, and write it as an eye, with the provenance."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dermquery.data.case import Case
from dermquery.lab.config import Config
from dermquery.lab.data.trained_on import fingerprints_of
from dermquery.lab.experiment.provenance import provenance, write_json
from dermquery.lab.network.encoders import preprocessing_of
from dermquery.lab.network.start import EYE, Start, load_start, save_eye
from dermquery.lab.network.vision import build_backbone
from dermquery.lab.train.config import TeachConfig
from dermquery.lab.train.eye import EyeModule, principal_components
from dermquery.lab.train.fit import fit
from dermquery.lab.train.heads import fit_heads
from dermquery.lab.train.pooled import PooledFeatures
from dermquery.lab.train.tuning import TuningModule
from dermquery.model.architecture import VisionConfig

__all__ = ["HELD_OUT", "held_out", "taught_components", "teach", "teacher_vision", "tune"]


HELD_OUT = 5
"""One lesion in so many of a further data set is kept from all training."""


def held_out(case: Case, share: int) -> bool:
    """Whether a case's lesion is kept from all training, one lesion in ``share`` by the SHA-256 of its id.

    A rule and no list, so that anybody can name the part: ``int(sha256(lesion_id).hexdigest(), 16) % share == 0``.
    """
    return int(hashlib.sha256(case.group_in_source.encode()).hexdigest(), 16) % share == 0


def teacher_vision(name: str, size: int) -> VisionConfig:
    """Preprocessing of a teacher: mean and spread are those of its weights, the size is chosen."""
    return VisionConfig(**{"backbone": name, **preprocessing_of(name), "image_size": size})


def taught_components(parts: Sequence[Sequence[Case]], config: TeachConfig) -> NDArray[np.float32]:
    """The teacher's principal components (n, P) of the cases of all parts, each of which is encoded once and cached."""
    teacher = teacher_vision(config.teacher, config.teacher_size)
    large = build_backbone(teacher).eval()
    features = PooledFeatures(large, teacher)
    upper = np.concatenate([features(part) for part in parts if part])[:, large.channels[0] :]  # type: ignore[index]
    return principal_components(upper, config.components)


def teach(
    cases: Sequence[Case], config: Config, out: Path, *, name: str, facts: dict[str, Any], **trainer: Any
) -> Start:
    """Teach ``config.model.vision``'s backbone by ``config.teach`` and write it to ``out/eye``.

    An eye that is there already is loaded. The last epoch is kept: nothing is selected.

    Args:
        cases: training cases with a diagnosis; lesions with several photographs teach the look.
        config: backbone, optimisation and weights of the terms.
        out: folder of the run; a killed run goes on from its last epoch.
        name: of the eye.
        facts: written into the provenance.
        trainer: ``devices``, ``accelerator`` and ``callbacks``.
    """

    def run() -> tuple[nn.Module, VisionConfig]:
        vision, train = config.model.vision, config.train.model_copy(update={"refit": True, "pairs": True})
        taught = taught_components([cases], config.teach)
        torch.manual_seed(train.seed)
        backbone = build_backbone(vision)

        def make(everyone: Sequence[Case], steps: int) -> EyeModule:
            return EyeModule(backbone, taught, everyone, vision, train, config.teach, steps)

        return fit(make, cases, [], vision, train, out, **trainer).module.backbone, vision

    return _eye(run, cases, config, out, name, facts)


def tune(
    cases: Sequence[Case], config: Config, out: Path, *, name: str, facts: dict[str, Any], **trainer: Any
) -> Start:
    """Tune the teacher's last blocks on described cases by ``config.tune``, and write it as :func:`teach` does."""

    def run() -> tuple[nn.Module, VisionConfig]:
        plain = teacher_vision(config.teach.teacher, config.teach.teacher_size)
        vision = plain.model_copy(update={"frozen_stages": config.tune.frozen_stages})
        backbone = build_backbone(vision)
        heads = fit_heads(PooledFeatures(backbone, plain)(cases), cases).heads

        def make(everyone: Sequence[Case], steps: int) -> TuningModule:
            return TuningModule(backbone, heads, everyone, vision, config.tune, steps)

        return fit(make, cases, [], vision, config.tune, out, **trainer).module.backbone, vision

    return _eye(run, cases, config, out, name, facts)


def _eye(
    run: Callable[[], tuple[nn.Module, VisionConfig]],
    cases: Sequence[Case],
    config: Config,
    out: Path,
    name: str,
    facts: dict[str, Any],
) -> Start:
    """The eye of a run: loaded where it is there already, else trained and written with what it was made of."""
    folder = out / "eye"
    if (folder / EYE).is_file():
        return load_start(str(folder))
    started = time.monotonic()
    backbone, vision = run()
    said = provenance(
        **facts,
        config=config.model_dump(mode="json"),
        cases=len(cases),
        case_ids_sha256=hashlib.sha256("\n".join(sorted(c.case_id for c in cases)).encode()).hexdigest(),
        seconds=round(time.monotonic() - started, 1),
    )
    eye = save_eye(backbone, vision, folder, name, said, fingerprints_of(cases))
    write_json(out / "run.json", {"eye": eye.artifact_hash})
    return eye
