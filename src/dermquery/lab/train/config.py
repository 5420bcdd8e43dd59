"""Configuration of the training. Adam, 100 epochs, patience 30 and border removal are the paper's; the rest is ours."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from dermquery.model.architecture import Section

__all__ = ["AugmentConfig", "ObjectiveConfig", "OptimisationConfig", "TeachConfig", "TrainConfig", "TuneConfig"]

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class AugmentConfig(Section):
    """Random changes of a training image; dermoscopy has no up, so rotations and flips are free.

    Attributes:
        rotate: rotate by any angle and flip.
        crop: smallest share of the area that a random crop keeps.
        colour: strength of brightness, contrast and saturation jitter; hue takes a tenth of it.
        blur: probability of a slight Gaussian blur.
    """

    rotate: bool = True
    crop: Annotated[float, Field(gt=0, le=1)] = 0.6
    colour: Share = 0.2
    blur: Share = 0.1


class ObjectiveConfig(Section):
    """Supervised contrastive objective over labels, and what stands beside it.

    Attributes:
        temperature: divides the scores in the softmax.
        grading: a positive weighs (share of agreeing criteria)**grading; 0 makes all same-label cases equal (eq. 1).
        prototypes: sub-centres per label, pulled to queries and targets by cross-entropy; 0 leaves the term out.
        prototype_weight: weight of that term.
        diversity: weight of the overlap between the region masks of one image; without it they become one mask.
    """

    temperature: Positive = 0.1
    grading: NonNegative = 0.0
    prototypes: Annotated[int, Field(ge=0, le=64)] = 0
    prototype_weight: NonNegative = 1.0
    diversity: NonNegative = 0.1


class TeachConfig(Section):
    """Teaching a backbone (:mod:`.eye`); copying the teacher's features has weight 1.

    Attributes:
        teacher: backbone whose pooled features are copied.
        teacher_size: side of its input in pixels.
        components: principal components of its features.
        diagnosis: weight of telling the diagnosis.
        look: weight of recognising a lesion in another photograph or view.
        temperature: divides the cosines of ``look``.
    """

    teacher: str = "xception-sklesion"
    teacher_size: Annotated[int, Field(ge=32)] = 254
    components: Annotated[int, Field(ge=8)] = 384
    diagnosis: NonNegative = 0.5
    look: NonNegative = 0.3
    temperature: Positive = 0.1


class OptimisationConfig(Section):
    """Optimisation, sampling and stopping of any training.

    Attributes:
        epochs, patience: at most so many epochs; stop after ``patience`` epochs without a better validation score.
        refit: train on the validation part too, for all ``epochs``, and keep the last one. Nothing is selected then, so
            everything must have been chosen in a run with a validation part.
        optimizer: ``adam`` as in the paper, or ``adamw``.
        learning_rate: of the new layers; the backbone's is ``learning_rate * backbone_rate``.
        weight_decay: of all weights but biases, norms and null tokens.
        warmup: share of the steps with a rising rate, before a cosine decay to zero.
        batch_size: images per step; every image is a query and a target of the others.
        pairs: draw half a batch, and beside each image another of its lesion, or the same once more.
        balance: 0 draws classes as they are, 1 equally often, between in between.
        average: decay of the exponential moving average of the weights that is validated and kept; 0 keeps none.
        precision: ``auto`` is bf16 where the processor or accelerator has it.
        seed: of initialisation, sampling and augmentation.
        augment: random changes of the training images.
    """

    epochs: Count = 100
    patience: Count = 30
    refit: bool = False
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: Positive = 1e-3
    backbone_rate: NonNegative = 0.3
    weight_decay: NonNegative = 1e-4
    warmup: Share = 0.1
    batch_size: Annotated[int, Field(ge=4)] = 32
    pairs: bool = False
    balance: Share = 0.5
    average: Decay = 0.99
    precision: Literal["auto", "32", "bf16"] = "auto"
    seed: int = 0
    augment: AugmentConfig = AugmentConfig()


class TrainConfig(OptimisationConfig):
    """Training of the composed network.

    Attributes:
        forms: ``drop`` makes one query of each image, ``all`` one with both parts, one of the text alone and one of
            the image alone.
        text_dropout, image_dropout: with ``drop``, share of the queries that lose their text, or their image.
        image_mix: a training query with text gets up to this share of another image mixed into its own one's features,
            so that the composer learns to weigh the text; 0 mixes nothing.
        attribute_dropout: chance of each recorded criterion to be left out of a training query's text.
        objective: weights of the losses.
    """

    forms: Literal["drop", "all"] = "drop"
    text_dropout: Share = 0.2
    image_dropout: Share = 0.1
    image_mix: Share = 0.0
    attribute_dropout: Share = 0.1
    objective: ObjectiveConfig = ObjectiveConfig()


class TuneAugmentConfig(AugmentConfig):
    """Augmentation of the tuning; the same keys with defaults of their own."""

    colour: Share = 0.1
    blur: Share = 0.0


class TuneConfig(OptimisationConfig):
    """Tuning the teacher on described cases (:mod:`.tuning`), which has no validation part; the defaults are its own.

    Attributes:
        frozen_stages: blocks of the teacher that stay as they are, see
            :class:`dermquery.model.architecture.VisionConfig`.
    """

    frozen_stages: Annotated[int, Field(ge=0, le=13)] = 7
    epochs: Count = 6
    refit: Literal[True] = True
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: Positive = 3e-4
    backbone_rate: NonNegative = 0.33
    weight_decay: NonNegative = 1e-2
    balance: Share = 0.0
    average: Decay = 0.98
    augment: TuneAugmentConfig = TuneAugmentConfig()
