"""All systems of the tables by name: what their queries use, what their gallery holds, and how to build them.

Another package adds one by an entry point of ``dermquery.systems`` that names a :class:`System` of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dermquery.data.case import Case
from dermquery.data.meant import did_you_mean
from dermquery.extensions import ExtensionError, Extensions
from dermquery.lab.config import Config
from dermquery.lab.data.folds import FoldCases
from dermquery.lab.experiment.teaching import teacher_vision, tune
from dermquery.lab.experiment.training import train
from dermquery.lab.network.eager import network_of
from dermquery.lab.network.start import Start, backbone_of
from dermquery.lab.network.vision import build_backbone
from dermquery.lab.systems.checklist_regression import ChecklistCosine, ChecklistRegression
from dermquery.lab.systems.composed import ComposedRanker, QueryParts
from dermquery.lab.systems.comquery_former import ComqueryFormer
from dermquery.lab.systems.crn import CRN
from dermquery.lab.systems.dahnet import DAHNet
from dermquery.lab.systems.diagnosed import DiagnosedGallery
from dermquery.lab.systems.frozen import FrozenFeatures
from dermquery.lab.systems.maskrcnn_fusion import MaskRCNNFusion
from dermquery.lab.systems.ranker import Ranker
from dermquery.lab.systems.resnet50_cossim import ResNet50CosSim
from dermquery.lab.systems.snf_dca import SNFDCA
from dermquery.lab.systems.three_parts import ThreeParts
from dermquery.lab.systems.trained import Setup
from dermquery.lab.train.pooled import PooledFeatures
from dermquery.model.encoder import ComposedModel
from dermquery.model.parts import Parts

TAUGHT, TUNED = "taught+", "tuned+"
HEADED = ("frozen+", TAUGHT, TUNED, "balanced")
"""Trainings that fit heads, and may learn from other tables."""
BESIDE = ("composed", "balanced")
"""Trainings with gradients that have further cases in their batches, where there are any."""
MEANING = Parts(meaning=1.0, findings=0.0, look=0.0)
__all__ = ["SYSTEMS", "Bench", "System", "all_systems", "system"]


@dataclass(frozen=True)
class Bench:
    """Build the rankers of one configuration on one fold; rankers of the same training share it.

    Attributes:
        config: model, training, and the systems' own settings.
        parts: the fold's cases.
        folder: of a training, by its key.
        facts: of the fold, for the provenance of a trained model.
        start: taught backbone that every training starts from.
        others: further training cases, with diagnoses but no findings, for the systems that can use them.
        trainer: ``devices``, ``accelerator`` and ``callbacks``.
        shared: rankers that are trained already, by the folder of their training.
    """

    config: Config
    parts: FoldCases
    folder: Callable[[str], Path]
    facts: Mapping[str, Any] = field(default_factory=dict)
    start: Start | None = None
    others: Sequence[Case] = ()
    trainer: Mapping[str, Any] = field(default_factory=dict)
    shared: dict[Path, Any] = field(default_factory=dict)

    @property
    def setup(self) -> Setup:
        """Settings that the baselines share with the composed model."""
        return Setup(self.config.model, self.config.train, self.start, self.trainer)

    def composed(self) -> ComposedRanker:
        """The composed model, trained once."""
        ranker: ComposedRanker = self._once("composed", lambda: ComposedRanker(self._train))
        return ranker

    def cossim(self) -> ResNet50CosSim:
        """The fine-tuned classifier, trained once; other systems use its features."""
        key = "resnet50_cossim"
        ranker: ResNet50CosSim = self._once(key, lambda: ResNet50CosSim(self.setup, self.folder(key)))
        return ranker

    def frozen(self) -> ThreeParts:
        """Heads on the teacher's frozen features, fitted once."""
        vision = teacher_vision(self.config.teach.teacher, self.config.teach.teacher_size)
        ranker: ThreeParts = self._once(
            "frozen+", lambda: ThreeParts(PooledFeatures(build_backbone(vision).eval(), vision), self.others)
        )
        return ranker

    def taught(self) -> ThreeParts:
        """Heads on the features of the backbone that trainings start from, fitted once."""
        if (start := self.start) is None:
            raise ValueError("this system searches by a taught backbone: give it with --start-from")
        ranker: ThreeParts = self._once(
            "taught+", lambda: ThreeParts(PooledFeatures(backbone_of(start), start.vision), self.others)
        )
        return ranker

    def tuned(self) -> ThreeParts:
        """Heads on the teacher's features after its last blocks were tuned on the fold's cases, trained once."""

        def make() -> ThreeParts:
            cases, facts = [*self.parts.train, *self.parts.validation], dict(self.facts)
            eye = tune(cases, self.config, self.folder(TUNED), name=TUNED, facts=facts, **self.trainer)
            return ThreeParts(PooledFeatures(backbone_of(eye), eye.vision), self.others)

        ranker: ThreeParts = self._once(TUNED, make)
        return ranker

    def balanced(self) -> ThreeParts:
        """The composed model with heads on its backbone, fitted once."""

        def make() -> ThreeParts:
            composed = self.composed()
            network = network_of(composed.model)
            features = PooledFeatures(network.backbone, network.config.vision)
            return ThreeParts(features, self.others, composed=composed)

        ranker: ThreeParts = self._once("balanced", make)
        return ranker

    def _once(self, training: str, make: Callable[[], Ranker]) -> Any:
        folder = self.folder(training)
        if folder not in self.shared:
            ranker = make()
            ranker.fit(self.parts.train, self.parts.validation)
            self.shared[folder] = ranker
        return self.shared[folder]

    def _train(self, training: Sequence[Case], validation: Sequence[Case]) -> ComposedModel:
        parts = FoldCases(list(training), list(validation), [])
        name = f"fold-{self.facts['fold']}" if "fold" in self.facts else "model"
        folder = self.folder("composed")
        return train(
            parts, self.config, folder, name=name, facts=dict(self.facts), start=self.start, others=self.others,
            **self.trainer,
        )  # fmt: skip


@dataclass(frozen=True)
class System:
    """A row of the tables.

    Attributes:
        key: its name on the command line.
        title: its name in the tables.
        asks: what of the query it uses.
        gallery: what of a gallery case it uses.
        training: key of the training that it uses; systems with the same one share it, None learns nothing by gradient.
        make: its ranker, which may still have to be fitted.
        section: its own settings, if it has any: a field of :class:`dermquery.lab.systems.config.SystemsConfig`.
        origin: package and version that it comes from; empty for ours.
    """

    key: str
    title: str
    asks: str
    gallery: str
    training: str | None
    make: Callable[[Bench], Ranker]
    section: str | None = None
    origin: str = ""

    @property
    def job(self) -> str:
        """Name of the rows that one process makes: those of one training, or each process would train it."""
        return "composed" if self.training in BESIDE else self.training or "untrained"

    @property
    def needs_start(self) -> bool:
        """Whether it searches by a taught backbone, and so needs one to be given."""
        return self.training == TAUGHT

    def digest(self, config: Config, folds_sha256: str, start: Start | None, others: Sequence[Case] = ()) -> str:
        """Ten hexadecimal digits that change with everything that its predictions on a fold depend on."""
        own = None if self.section is None else getattr(config.systems, self.section).model_dump(mode="json")
        started = None if start is None else start.artifact_hash or start.name
        facts = [self.key, config.sha256, own, folds_sha256, started]
        if self.training in HEADED:
            facts.append([config.teach.teacher, config.teach.teacher_size, sorted(case.case_id for case in others)])
        if others and self.training in BESIDE:
            facts.append([config.teach.model_dump(mode="json"), sorted(case.case_id for case in others)])
        if self.origin:
            facts.append(self.origin)
        if self.training == TUNED:
            facts.append(config.tune.model_dump(mode="json"))
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:10]


def _part(parts: QueryParts) -> Callable[[Bench], Ranker]:
    return lambda bench: bench.composed().variant(parts)


def _headed(key: str, title: str, ranker: Callable[[Bench], ThreeParts]) -> tuple[System, ...]:
    """Rows of heads on one backbone: all parts of the score, and what each choice of them alone gives."""
    return (
        System(key, title, "image + text", "image", key, ranker),
        System(
            f"{key}meaning", f"{key}, meaning alone", "image + text", "image", key,
            lambda b: ranker(b).variant(balance=MEANING),
        ),
        System(
            f"{key}image", f"{key}, image only", "image", "image", key,
            lambda b: ranker(b).variant(parts="image only"),
        ),
        System(
            f"{key}recorded", f"{key}, recorded findings", "image + text", "image + findings", key,
            lambda b: ranker(b).variant(recorded=True),
        ),
    )  # fmt: skip


_LISTED = (
    System("composed", "dermquery (ours)", "image + text", "image", "composed", _part("composed")),
    System("balanced", "ours, three parts", "image + text", "image", "balanced", lambda b: b.balanced()),
    System(
        "balanced_image", "ours, three parts, image only", "image", "image", "balanced",
        lambda b: b.balanced().variant(parts="image only"),
    ),
    System(
        "balanced_recorded", "ours, three parts, recorded findings", "image + text", "image + findings", "balanced",
        lambda b: b.balanced().variant(recorded=True),
    ),
    System(
        "balanced_meaning", "ours, meaning with posterior", "image + text", "image", "balanced",
        lambda b: b.balanced().variant(balance=MEANING),
    ),
    System("image_only", "ours, image only", "image", "image", "composed", _part("image only")),
    System("text_only", "ours, text only", "text", "image", "composed", _part("text only")),
    System(
        "diagnosed", "ours, known diagnoses", "image + text", "image + diagnosis", "composed",
        lambda b: DiagnosedGallery(b.composed()),
    ),
    System(
        "comquery_former", "ComqueryFormer", "image + text", "image", "comquery_former",
        lambda b: ComqueryFormer(b.setup, b.folder("comquery_former"), b.config.systems.comquery_former),
        "comquery_former",
    ),
    System(
        "crn", "CRN", "image + text", "image", "crn",
        lambda b: CRN(b.setup, b.folder("crn"), b.config.systems.crn), "crn",
    ),
    System(
        "dahnet", "DAHNet", "image", "image", "dahnet",
        lambda b: DAHNet(b.setup, b.folder("dahnet"), b.config.systems.dahnet), "dahnet",
    ),
    System(
        "snf_dca", "SNF-DCA", "image + text", "image + findings", "resnet50_cossim",
        lambda b: SNFDCA(b.cossim(), b.config.systems.snf_dca), "snf_dca",
    ),
    System(
        "maskrcnn_fusion", "after MaskRCNN-Fusion", "image", "image", None,
        lambda b: MaskRCNNFusion(b.config.model.vision, b.config.systems.maskrcnn_fusion), "maskrcnn_fusion",
    ),
    System("resnet50_cossim", "ResNet50-CosSim", "image", "image", "resnet50_cossim", lambda b: b.cossim()),
    System(
        "frozen", "frozen ImageNet features", "image", "image", None, lambda b: FrozenFeatures(b.config.model.vision)
    ),
    *_headed("frozen+", "frozen+ (teacher)", lambda b: b.frozen()),
    *_headed(TUNED, "tuned+ (teacher tuned)", lambda b: b.tuned()),
    *_headed(TAUGHT, "taught+ (student)", lambda b: b.taught()),
    System("checklist_cosine", "checklist cosine", "text", "findings", None, lambda b: ChecklistCosine()),
    System(
        "checklist_regression", "checklist regression", "text", "diagnosis", None, lambda b: ChecklistRegression()
    ),
)  # fmt: skip
SYSTEMS: dict[str, System] = {listed.key: listed for listed in _LISTED}
"""Ours by key, in the order of the tables. The random order needs no entry: every table has it, in closed form."""
_OTHERS: Extensions[System] = Extensions(
    "dermquery.systems",
    "system",
    lambda found: isinstance(found, System),
    "a dermquery.lab.experiment.registry.System",
)


def all_systems() -> dict[str, System]:
    """Ours and those of other packages, by key.

    Raises:
        ExtensionError: another package's system is broken.
    """
    return SYSTEMS | {key: system(key) for key in _OTHERS.names() if key not in SYSTEMS}


def system(key: str) -> System:
    """A system by its key.

    Raises:
        ExtensionError: another package's system is broken, or has another key than its entry point.
        ValueError: there is none; the message lists the known keys.
    """
    if key in SYSTEMS:
        return SYSTEMS[key]
    if (found := _OTHERS.find(key)) is None:
        known = [*SYSTEMS, *_OTHERS.names()]
        raise ValueError(f"unknown system {key!r}{did_you_mean(key, known)}; use some of: {', '.join(known)}")
    if found.key != key:
        raise ExtensionError(f"the system {key!r} of {_OTHERS.origin(key)} calls itself {found.key!r}; make them equal")
    return replace(found, origin=_OTHERS.origin(key))
