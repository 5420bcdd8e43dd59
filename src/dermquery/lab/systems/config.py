"""Settings of the compared systems; docs/systems.md gives the reasons for the defaults."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dermquery.model.architecture import Section

__all__ = ["CRNConfig", "ComqueryFormerConfig", "DAHNetConfig", "FusionConfig", "SNFConfig", "SystemsConfig"]

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class DAHNetConfig(Section):
    """Deep attention hashing.

    Attributes:
        bits: length of the code; half of them are the global branch's, a sixth each of the three local ones'.
        quantisation: γ, weight of the distance between the tanh outputs and the gallery's codes.
        cut: rounds of discrete coordinate descent over the bits after each epoch.
    """

    bits: Annotated[int, Field(ge=6, multiple_of=6)] = 48
    quantisation: Positive = 200.0
    cut: Count = 3


class ComqueryFormerConfig(Section):
    """Composed-query transformer.

    Attributes:
        depth: co-attention layers, shared by the levels.
        heads: attention heads.
        mlp_ratio: width of the feed-forward part.
        dropout: in attention and feed-forward parts.
        regions: K, masks of each level.
        scale: first value of the learned length of every vector.
    """

    depth: Count = 4
    heads: Count = 8
    mlp_ratio: Positive = 4.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    regions: Count = 8
    scale: Positive = 4.0


class CRNConfig(Section):
    """Composition by a local and a global network that learn from each other.

    Attributes:
        local_temperature: T of the softmax over words, at each position.
        global_temperature: T of the softmax over positions, for each word.
        scale: first value of the learned factor of the cosines.
    """

    local_temperature: Positive = 7.0
    global_temperature: Positive = 4.0
    scale: Positive = 10.0


class SNFConfig(Section):
    """Similarity network fusion.

    Attributes:
        neighbours: K of the affinities and of the fusion.
        mu: width of the affinity kernel.
        steps: iterations of the fusion.
        communities: clusters of the fused network; 0 takes the eigengap's number on the training part.
    """

    neighbours: Count = 20
    mu: Annotated[float, Field(gt=0, lt=1)] = 0.5
    steps: Count = 20
    communities: Annotated[int, Field(ge=0)] = 0


class FusionConfig(Section):
    """Deep and textural features of the segmented lesion.

    Attributes:
        side: the lesion's crop is resized to this side for the texture blocks.
        zernike_degree: highest order of the Zernike moments.
        lbp_radii: radii of the uniform local binary patterns, 8 points each.
    """

    side: Annotated[int, Field(ge=32)] = 160
    zernike_degree: Count = 8
    lbp_radii: tuple[Count, ...] = (1, 2, 4)


class SystemsConfig(Section):
    """All of them, as the section ``[systems]`` of a configuration file."""

    dahnet: DAHNetConfig = DAHNetConfig()
    comquery_former: ComqueryFormerConfig = ComqueryFormerConfig()
    crn: CRNConfig = CRNConfig()
    snf_dca: SNFConfig = SNFConfig()
    maskrcnn_fusion: FusionConfig = FusionConfig()
