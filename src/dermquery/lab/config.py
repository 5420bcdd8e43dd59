"""Configuration files: TOML, every key known, one file for model and training."""

from __future__ import annotations

import copy
import hashlib
import json
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dermquery.data.meant import did_you_mean
from dermquery.lab.network.encoders import preprocessing_of
from dermquery.lab.systems.config import SystemsConfig
from dermquery.lab.train.config import TeachConfig, TrainConfig, TuneConfig
from dermquery.model.architecture import ModelConfig, Section

__all__ = ["Config", "ConfigError", "load_config", "shipped_configs"]


class ConfigError(ValueError):
    """A configuration file that cannot be used; the message lists every wrong key."""


class Config(Section):
    """A whole configuration: what is built, how it is trained, and the settings of the systems it is compared with."""

    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    teach: TeachConfig = TeachConfig()
    tune: TuneConfig = TuneConfig()
    systems: SystemsConfig = SystemsConfig()

    @property
    def sha256(self) -> str:
        """Hash of all values of model and training, whatever order or file they came from."""
        # What is null is left out, so that a field that is new, and not used, leaves the hash as it was.
        values = self.model_dump(mode="json", include={"model", "train"}, exclude_none=True)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def shipped_configs() -> dict[str, Path]:
    """The configurations that come with the package, by name."""
    folder = Path(str(resources.files("dermquery.lab") / "configs"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_config(name_or_path: str | Path, overrides: tuple[str, ...] = ()) -> Config:
    """Read a configuration by its shipped name ("lite", "paper", "demo") or its file.

    What the encoder itself says of ``mean``, ``std`` and ``image_size`` (:func:`.network.encoders.preprocessing_of`)
    stands where neither file nor overrides say anything, and where an override names another encoder than the file.

    Args:
        name_or_path: shipped name or TOML file.
        overrides: ``section.key=value`` with a TOML value, applied after the file.

    Raises:
        FileNotFoundError: neither a shipped name nor a file.
        ConfigError: not TOML, unknown keys, or values out of range; every problem is listed.
    """
    shipped = shipped_configs()
    path = shipped.get(str(name_or_path), Path(name_or_path))
    if not path.is_file():
        raise FileNotFoundError(
            f"no configuration {str(name_or_path)!r}: give a TOML file or one of {', '.join(shipped)}"
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    before = copy.deepcopy(values)
    for override in overrides:
        _apply(values, override)
    _take_preprocessing(values, before, {override.partition("=")[0].strip() for override in overrides})
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {_words(e)}" for e in error.errors()]
        raise ConfigError(f"{path} cannot be used:\n" + "\n".join(lines)) from error


def _take_preprocessing(values: dict[str, Any], before: Mapping[str, Any], named: Collection[str]) -> None:
    """Fill in what the encoder's weights need to see, as far as nobody chose it for this encoder."""
    vision, was = (_section(whole, "model", "vision") for whole in (values, before))
    backbone = vision.get("backbone")
    if not isinstance(backbone, str):
        return
    other = backbone != was.get("backbone")
    wanted = [
        key
        for key in ("mean", "std", "image_size")
        if f"model.vision.{key}" not in named and (other or key not in vision)
    ]
    found = preprocessing_of(backbone) if wanted else {}
    vision.update({key: found[key] for key in wanted if key in found})


def _section(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        values = values.get(name, {}) if isinstance(values, Mapping) else {}
    return values if isinstance(values, dict) else {}


def _apply(values: dict[str, Any], override: str) -> None:
    name, separator, text = override.partition("=")
    if not separator:
        raise ConfigError(f"override {override!r} has no '='; write it as train.epochs=20")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, key = name.strip().split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"override {override!r}: {section!r} is a value, not a section")
    values[key] = value


def _words(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        *sections, key = map(str, error["loc"])
        near = did_you_mean(key, _keys(sections))
        return f"unknown key{near or '; see docs/configuration.md for the known ones'}"
    return f"{error['msg']} (got {error['input']!r})"


def _keys(sections: Sequence[str]) -> Iterable[str]:
    """The keys that a section of a configuration has."""
    model: Any = Config
    for section in sections:
        field = model.model_fields.get(section)
        model = field.annotation if field is not None else None
        if not hasattr(model, "model_fields"):
            return ()
    return tuple(model.model_fields)
