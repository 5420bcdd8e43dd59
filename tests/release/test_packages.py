"""Wheel and source package as people get them: complete, and at work outside of the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import dermquery

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def _run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both packages; the wheel is built from the source package, as PyPI's users may have to."""
    folder = tmp_path_factory.mktemp("built")
    build = (sys.executable, "-m", "hatchling", "build", "-d", folder)
    _run(*build, "-t", "sdist", cwd=ROOT)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as sdist:
        sdist.extractall(folder, filter="data")
    _run(*build, "-t", "wheel", cwd=folder / f"dermquery-{dermquery.__version__}")
    return folder


def test_the_source_package_has_what_operators_and_packagers_need(built: Path) -> None:
    source = built / f"dermquery-{dermquery.__version__}"
    for path in (
        "deploy/Containerfile",
        "deploy/nginx.conf",
        "constraints.txt",
        "docs/index.md",
        "mkdocs.yml",
        "NOTICE",
        "hatch_build.py",
        "tests",
    ):
        assert (source / path).exists(), path
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        assert not [name for name in sdist.getnames() if name.endswith(".pyc")]


def test_the_wheel_has_every_file_of_the_package_and_every_licence(built: Path) -> None:
    wheel = zipfile.ZipFile(next(built.glob("*.whl")))
    names = set(wheel.namelist())
    listed = _run("git", "ls-files", "src/dermquery", cwd=ROOT) if (ROOT / ".git").exists() else ""
    assert {name.removeprefix("src/") for name in listed.splitlines()} <= names
    licences = {name.split("/licenses/")[1] for name in names if "/licenses/" in name}
    assert {"LICENSE", "NOTICE", "LICENSES/CC-BY-NC-SA-4.0.txt", "LICENSES/0BSD.txt"} <= licences
    metadata = wheel.read(f"dermquery-{dermquery.__version__}.dist-info/METADATA").decode()
    assert f"Version: {dermquery.__version__}" in metadata
    assert metadata.count("![") == (ROOT / "README.md").read_text(encoding="utf-8").count("![") >= 2


@pytest.fixture(scope="module")
def installed(built: Path) -> dict[str, str]:
    """The wheel in a folder of its own, before everything else on the path."""
    target = built / "target"
    wheel = next(built.glob("*.whl"))
    _run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target, wheel, cwd=built)
    return {"PYTHONPATH": str(target), "DERMQUERY_TARGET": str(target)}


def test_the_first_answer_comes_from_the_wheel(built: Path, installed: dict[str, str]) -> None:
    where = _run(sys.executable, "-c", "import dermquery; print(dermquery.__file__)", cwd=built, **installed)
    assert where.startswith(installed["DERMQUERY_TARGET"])
    said = _run(sys.executable, "-m", "dermquery", "demo", "--out", built / "demo", cwd=built, **installed)
    assert "text read as: Pigment network: atypical. Blue-whitish veil: present." in said
    assert (built / "demo" / "result.html").is_file()


def test_the_other_wings_start_from_the_wheel(built: Path, installed: dict[str, str]) -> None:
    program = (sys.executable, "-m", "dermquery")
    _run(*program, "data", "synthesize", "--n", "6", "--size", "96", "--out", built / "six", cwd=built, **installed)
    _run(sys.executable, "-c", "import dermquery.serve.app, dermquery.serve.server", cwd=built, **installed)
