"""The README of the packages: once the project has an address, every link of it leads there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

from hatch_build import absolute

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "https://example.org/dermquery"
_TARGET = re.compile(r"\]\(([^)\s]+)\)")


def _built(urls: dict[str, str]) -> str:
    """The README that hatchling would put into the packages, had ``[project.urls]`` these."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    config["project"]["urls"] = urls
    return ProjectMetadata(str(ROOT), PluginManager(), config).core.readme


def test_every_link_leads_to_a_file() -> None:
    relative = [target.partition("#")[0] for target in _TARGET.findall(README) if "://" not in target]
    assert [target for target in relative if not (ROOT / target).is_file()] == []
    assert len(relative) > 15


def test_without_an_address_it_is_the_readme_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert _built({}) == README
    assert "no Source in [project.urls]" in capsys.readouterr().err


@pytest.mark.parametrize("address", [ADDRESS, f"{ADDRESS}/"])
def test_with_an_address_nothing_stays_relative(address: str) -> None:
    built = _built({"Source": address})
    assert all(target.startswith("https://") for target in _TARGET.findall(built))
    assert re.search(rf"!\[[^\]]*\]\({ADDRESS}/raw/v[\d.]+/docs/images/demo.jpg\)", built)
    assert re.search(rf"[^!]\[[^\]]*\]\({ADDRESS}/blob/v[\d.]+/docs/search.md\)", built)
    words = re.compile(r"\]\([^)]*\)")
    assert words.sub("", built) == words.sub("", README)


@pytest.mark.parametrize(
    "image",
    [
        '<img src="docs/images/demo.jpg">',
        "<img width=9 src='docs/images/demo.jpg'>",
        "![one][docs/images/demo.jpg]",
        "![one]( docs/images/demo.jpg)",
        '![one](docs/images/demo.jpg "a title")',
        "![one](http://example.org/demo.jpg)",
    ],
)
def test_a_picture_that_would_not_be_shown_is_refused_by_name(image: str) -> None:
    with pytest.raises(ValueError, match=r"demo\.jpg"):
        absolute(f"# Words\n\n{image}\n", f"{ADDRESS}/blob/v1/", f"{ADDRESS}/raw/v1/")
