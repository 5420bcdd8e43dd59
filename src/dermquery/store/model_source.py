"""The model of a case base, loaded or by name."""

from __future__ import annotations

from pathlib import Path

from dermquery.store.base_manifest import Manifest, ManifestError
from dermquery.store.protocol import Encoder

__all__ = ["ModelSource", "load_model_of", "load_named_model", "load_source"]

ModelSource = Encoder | str | Path
"""A loaded model, or the name or path that ``load_model`` takes."""


def load_source(model: ModelSource) -> tuple[Encoder, str | None]:
    """The loaded model and the reference by which it was loaded; None for one that came loaded."""
    return load_model_of(model) if isinstance(model, str | Path) else (model, None)


def load_model_of(model: str | Path) -> tuple[Encoder, str]:
    """A model by name or path, and its lasting reference: a shipped name stays, a path is made absolute."""
    from dermquery.model.artifact import shipped_models
    from dermquery.model.load import load_model

    shipped = str(model) in shipped_models()
    return load_model(model), str(model) if shipped else str(Path(model).expanduser().absolute())


def load_named_model(manifest: Manifest, uri: str | Path) -> Encoder:
    """The model that a manifest names, held against its hash; ``uri`` is the base, for messages.

    Raises:
        ManifestError: it names none, or one that cannot be loaded.
        ModelMismatchError: what is loaded is another model.
    """
    reference = manifest.model_reference
    if reference is None:
        raise ManifestError(
            f"{uri} does not say where its model {manifest.model_name!r} ({manifest.model_hash}) lies; name it by "
            "--model, or CaseBase.open(uri, model=...)"
        )
    try:
        model = load_model_of(reference)[0]
    except (OSError, ValueError) as error:
        raise ManifestError(
            f"the model of {uri} cannot be loaded from {reference!r} ({error}); name the artifact with hash "
            f"{manifest.model_hash} by --model"
        ) from error
    manifest.check(model)
    return model
