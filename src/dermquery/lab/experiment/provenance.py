"""Provenance of results, and the one way to write them."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import dermquery
from dermquery.data.files import replacing
from dermquery.lab.network.start import Start
from dermquery.model.encoder import ComposedModel

__all__ = ["name_of", "provenance", "write_json", "write_result"]


def provenance(**facts: Any) -> dict[str, Any]:
    """Version, commit, time, machine, and the given facts: all that one needs to make a number again."""
    return {
        "dermquery": dermquery.__version__,
        "commit": _commit(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        **facts,
    }


def name_of(model: ComposedModel | Start | None) -> dict[str, str] | None:
    """Name and hash of a model that a run used."""
    return None if model is None else {"name": model.name, "artifact": model.artifact_hash}


def write_json(path: Path, value: Any) -> None:
    """Write whole or not at all, so that a killed run leaves no half file."""
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write a comparison's result with one line for each entry of its lists; whole or not at all."""

    def compact(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"))

    parts = []
    for key, value in result.items():
        entries = isinstance(value, list) and value and isinstance(value[0], dict)
        text = "[\n" + ",\n".join(map(compact, value)) + "\n]" if entries else compact(value)
        parts.append(f"{compact(key)}: {text}")
    with replacing(path) as part:
        part.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _commit() -> str | None:
    """Commit of the checkout that this package runs from, marked if files were changed since; None if installed."""
    folder = Path(dermquery.__file__).resolve().parent
    try:
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", ".")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
