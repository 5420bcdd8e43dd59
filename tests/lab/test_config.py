"""Configuration files: everything wrong is listed, nothing unknown is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermquery.lab.config import ConfigError, load_config, shipped_configs


def test_shipped_configurations_load_and_differ() -> None:
    assert set(shipped_configs()) == {"demo", "lite", "paper"}
    assert len({load_config(name).sha256 for name in shipped_configs()}) == 3


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[train]\nepoch = 3\npatience = 0\n[model]\nwidth = 'wide'\nbeauty = 1\n")
    with pytest.raises(ConfigError) as error:
        load_config(path)
    message = str(error.value)
    assert "train.epoch: unknown key. Did you mean 'epochs'?" in message
    assert "model.beauty: unknown key" in message
    assert "train.patience" in message
    assert "got 0" in message
    assert "model.width" in message
    assert "'wide'" in message


def test_overrides_take_toml_values_and_plain_words() -> None:
    config = load_config("lite", ("train.epochs=3", "model.vision.backbone=some/name", "train.augment.rotate=false"))
    assert (config.train.epochs, config.model.vision.backbone, config.train.augment.rotate) == (3, "some/name", False)
    assert config.sha256 != load_config("lite").sha256


@pytest.mark.parametrize(
    ("override", "message"),
    [("train.epochs", "no '='"), ("train.epochs=many", "train.epochs"), ("model.width.x=1", "is a value")],
)
def test_bad_override_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config("lite", (override,))


def test_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[train\n")
    with pytest.raises(ConfigError, match=r"c\.toml is not TOML"):
        load_config(tmp_path / "c.toml")
