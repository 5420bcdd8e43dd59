"""OpenVINO against PyTorch: the same vectors, one export for each artifact, and what happens without it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import torch

from dermquery import __version__
from dermquery.data.case import Query
from dermquery.lab.network import export
from dermquery.lab.network.eager import TorchRuntime
from dermquery.model import graphs
from dermquery.model.artifact import load_model
from dermquery.model.encoder import ComposedModel
from dermquery.model.lazy import LazyNetwork
from dermquery.model.runtime import Inputs, OpenVinoRuntime, ParityError, choose_runtime
from dermquery.store.casebase import CaseBase
from tests.tiny import noise_cases, tiny_model

TEXT = "atypical network, blue-whitish veil"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def fast(cache: Path, monkeypatch: pytest.MonkeyPatch) -> ComposedModel:
    monkeypatch.setenv("DERMQUERY_CACHE", str(cache))
    return load_model("demo", runtime="openvino")


def noise(n: int, seed: int) -> Inputs:
    return np.random.default_rng(seed).standard_normal((n, 3, 160, 160), np.float32)


def cosines(one: np.ndarray, other: np.ndarray, width: int) -> np.ndarray:
    return np.asarray((one * other).reshape(len(one), -1, width).sum(axis=-1))


@pytest.mark.slow
def test_both_runtimes_give_the_same_vectors(fast: ComposedModel, tmp_path: Path) -> None:
    plain = load_model("demo", runtime="torch")
    images = [case.image for case in noise_cases(tmp_path, 5)]
    queries = [
        Query(image=images[0], text=TEXT),
        Query(text=TEXT),
        Query(image=images[1]),
        Query(checklist={"streaks": "absent"}),
    ]
    assert fast.runtime.name.startswith("openvino")
    assert cosines(fast.encode_case(images), plain.encode_case(images), 64).min() > 0.999
    assert cosines(fast.encode_query(queries), plain.encode_query(queries), 64).min() > 0.999


@pytest.mark.slow
def test_a_vector_does_not_depend_on_its_batch(fast: ComposedModel, tmp_path: Path) -> None:
    images = [case.image for case in noise_cases(tmp_path, 18)]
    together = fast.encode_case(images)
    alone = np.concatenate([fast.encode_case([image]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.slow
def test_threads_do_not_read_each_others_results(fast: ComposedModel, tmp_path: Path) -> None:
    images = [case.image for case in noise_cases(tmp_path, 6)]
    expected = [fast.encode_query([Query(image=image, text=TEXT)]) for image in images]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: fast.encode_query([Query(image=images[i % 6], text=TEXT)]), range(60)))
    for i, vectors in enumerate(found):
        np.testing.assert_allclose(vectors, expected[i % 6], atol=1e-6)


@pytest.mark.slow
def test_f32_follows_pytorch_closely(fast: ComposedModel, cache: Path) -> None:
    assert fast.runtime.name
    (folder,) = (path for path in (cache / "openvino").iterdir() if path.is_dir())
    exact, expected = OpenVinoRuntime(LazyNetwork.of(fast.network), folder, "f32"), TorchRuntime(fast.network)
    inputs, texts = noise(3, seed=5), [TEXT, "Streaks: absent.", None]
    np.testing.assert_allclose(exact.cases(inputs), expected.cases(inputs), atol=1e-4)
    np.testing.assert_allclose(exact.queries(inputs, texts), expected.queries(inputs, texts), atol=1e-4)
    for words in ([TEXT], ["Streaks: absent. Streaks: absent.", "", TEXT, "x " * 200]):
        np.testing.assert_allclose(exact.words(words), expected.words(words), atol=1e-4)


@pytest.mark.slow
def test_an_artifact_is_exported_once(fast: ComposedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fast.runtime.name
    for step in ("export", "measure"):
        monkeypatch.setattr(export, step, lambda *_: pytest.fail("exported again"))
    assert load_model("demo", runtime="openvino").runtime.name == fast.runtime.name


@pytest.mark.slow
def test_tokens_are_put_together_as_pytorch_does(fast: ComposedModel, cache: Path) -> None:
    """The same tokens count, at the same places, whichever of the two put the sentences together."""
    assert fast.runtime.name
    (folder,) = (path for path in (cache / "openvino").iterdir() if path.is_dir())
    network = fast.network
    run = OpenVinoRuntime(LazyNetwork.of(network), folder)
    texts = ["Streaks: absent. Pigment network: atypical.", None, "x", "", "word; " * 90, "Streaks: absent."]
    for asked in (texts, texts[2:3], [None, None]):
        with torch.inference_mode():
            expected, expected_mask = network.tokens(asked)
        found, mask = run._tokens(asked)
        np.testing.assert_array_equal(mask, expected_mask.numpy())
        np.testing.assert_allclose(found[mask], expected.numpy()[mask], atol=2e-5)


@pytest.mark.slow
def test_a_search_imports_no_pytorch(fast: ComposedModel, cache: Path, tmp_path: Path) -> None:
    """On a ready base with exported graphs; what a search must not import is most of the time of its start."""
    cases = noise_cases(tmp_path / "images", 4)
    base = CaseBase.create(tmp_path / "base", fast, reference="demo")
    base.add(cases)
    base.search(image=cases[0].image, text=TEXT)
    script = f"""
import sys
from dermquery.cli import app
failed = app(["search", "--base", {str(base.uri)!r}, "--text", {TEXT!r}, "--json", "-"], standalone_mode=False)
assert not failed, failed
from dermquery.store.casebase import CaseBase
assert CaseBase.open({str(base.uri)!r}).search(image={str(cases[0].image)!r}, text={TEXT!r}).hits
heavy = {{"torch", "transformers", "safetensors", "lightning", "kornia", "sklearn", "matplotlib", "skimage"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert "openvino" in sys.modules
"""
    environment = os.environ | {"DERMQUERY_CACHE": str(cache), "DERMQUERY_RUNTIME": "auto"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut off", "of the same length", "absent"])
def test_graphs_that_are_damaged_are_exported_again(
    fast: ComposedModel, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    images = [case.image for case in noise_cases(tmp_path / "images", 2)]
    wanted = fast.encode_case(images)
    shutil.copytree(cache, tmp_path / "cache")
    (path,) = (tmp_path / "cache" / "openvino").glob("*/case.xml")
    shutil.rmtree(path.parent / "compiled", ignore_errors=True)
    content = path.read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes(content[:-100] if damage == "cut off" else b" " * len(content))
    monkeypatch.setenv("DERMQUERY_CACHE", str(tmp_path / "cache"))
    again = load_model("demo", runtime="openvino")
    told = pytest.warns(RuntimeWarning, match=r"case\.xml cannot be read .*exporting again")
    with told if damage == "of the same length" else contextlib.nullcontext():
        found = again.encode_case(images)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert path.read_bytes().startswith(b"<?xml")
    assert path.stat().st_size > 0.9 * len(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(load_model("demo", runtime="openvino").encode_case(images), wanted, atol=1e-5)


@pytest.mark.slow
def test_threads_that_export_at_once_export_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, exports, start = LazyNetwork.of(load_model("demo").network), [], threading.Barrier(2)
    once = export.export

    def counted(*given: Any) -> None:
        exports.append(given)
        once(*given)

    def first(_: int) -> OpenVinoRuntime:
        start.wait()
        return OpenVinoRuntime(network, tmp_path / "graphs", "f32")

    monkeypatch.setattr(export, "export", counted)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(first, range(2))
    assert len(exports) == 1
    inputs = noise(2, seed=1)
    np.testing.assert_allclose(one.cases(inputs), other.cases(inputs), atol=1e-6)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["graphs"]


@pytest.mark.slow
def test_processes_that_export_at_once_both_end_well(tmp_path: Path) -> None:
    script = (
        "from dermquery.model.artifact import load_model; print(load_model('demo', runtime='openvino').runtime.name)"
    )
    environment = os.environ | {"DERMQUERY_CACHE": str(tmp_path)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    for process in started:
        said, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert said.startswith("openvino")
    (folder,) = (path for path in (tmp_path / "openvino").iterdir() if path.is_dir())
    assert {path.name for path in folder.glob("*.xml")} == {f"{name}.xml" for name in graphs.GRAPHS}


@pytest.mark.slow
def test_another_processor_measures_for_itself(
    fast: ComposedModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fast.runtime.name
    (folder,) = (path for path in (cache / "openvino").iterdir() if path.is_dir())
    (own,) = folder.glob("parity-*.json")
    assert json.loads(own.read_text())["processor"]["capabilities"]
    here, exported = json.loads(own.read_text())["processor"], (folder / "case.xml").stat().st_mtime_ns
    monkeypatch.setattr("dermquery.model.runtime.processor", lambda _: here | {"capabilities": ["FP32"]})
    assert OpenVinoRuntime(LazyNetwork.of(fast.network), folder).name == "openvino f32"
    (other,) = set(folder.glob("parity-*.json")) - {own}
    try:
        assert json.loads(other.read_text())["processor"]["capabilities"] == ["FP32"]
        assert json.loads(other.read_text())["parity"]["f32"] > 0.99999
        assert (folder / "case.xml").stat().st_mtime_ns == exported
    finally:
        other.unlink()


@pytest.mark.slow
def test_an_export_reports_to_nobody(tmp_path: Path) -> None:
    """OpenVINO's converter sends usage reports from a forked process, and keeps an identity in the home folder."""
    script = (
        "import sys; from dermquery.model.artifact import load_model; "
        "assert load_model('demo', runtime='openvino').runtime.name.startswith('openvino'); "
        "assert sys.modules['openvino_telemetry'] is None"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {"HOME": str(home), "DERMQUERY_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert not (home / "intel").exists()
    assert "fork" not in done.stderr


@pytest.mark.slow
def test_a_graph_that_computes_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model("demo")
    whole = model.network.targets

    def other(maps: tuple[torch.Tensor, ...]) -> object:
        # What the tracer sees is turned round; what PyTorch runs afterwards is not.
        found = whole(maps)
        return found._replace(blocks=found.blocks.flip(1)) if torch._C._is_tracing() else found

    monkeypatch.setattr(model.network, "targets", other)
    with pytest.raises(ParityError, match="follow the network with a cosine of"):
        OpenVinoRuntime(LazyNetwork.of(model.network), tmp_path / "graphs")
    assert not (tmp_path / "graphs").exists()
    monkeypatch.setenv("DERMQUERY_CACHE", str(tmp_path))
    monkeypatch.setenv("DERMQUERY_RUNTIME", "auto")
    with pytest.warns(RuntimeWarning, match="PyTorch does"):
        assert choose_runtime(LazyNetwork.of(model.network), "abc").name == "torch"


def test_without_openvino_pytorch_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setenv("DERMQUERY_CACHE", str(tmp_path))
    monkeypatch.setenv("DERMQUERY_RUNTIME", "auto")
    network = LazyNetwork.of(tiny_model(tmp_path).network)
    assert choose_runtime(network, "abc").name == "torch"
    with pytest.raises(ModuleNotFoundError):
        choose_runtime(network, "abc", "openvino")


def test_graphs_are_named_by_weights_code_and_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = graphs.graphs_name("a" * 64)
    assert name.startswith(f"{'a' * 24}-{__version__}-{openvino.__version__.split('-')[0]}-")
    assert graphs.graphs_name("b" * 64) != name
    assert graphs.graphs_name("a" * 64) == name
    with monkeypatch.context() as patch:
        patch.setattr(openvino, "__version__", "2099.1.0-1-abc-releases/2099/1")
        assert "-2099.1.0-" in graphs.graphs_name("a" * 64)
    with monkeypatch.context() as patch:
        patch.setattr(graphs, "version", lambda package: "99" if package == "torch" else "1")
        assert graphs.graphs_name("a" * 64) != name
    changed = tmp_path / "code"
    shutil.copytree(Path(graphs.__file__).parent, changed, ignore=lambda *_: {"shipped", "__pycache__"})
    monkeypatch.setattr(graphs, "_CODE", changed)
    assert graphs.graphs_name("a" * 64) == name
    with (changed / "composer.py").open("a") as code:
        code.write("# changed")
    assert graphs.graphs_name("a" * 64) != name


def test_a_network_without_a_hash_leaves_the_cache_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMQUERY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DERMQUERY_RUNTIME", "auto")
    kept = tmp_path / "cache" / "openvino" / "another" / "case.xml"
    kept.parent.mkdir(parents=True)
    kept.touch()
    network = LazyNetwork.of(tiny_model(tmp_path).network)
    with pytest.raises(ValueError, match="without an artifact hash has no place in OpenVINO's cache"):
        choose_runtime(network, "", "openvino")
    with pytest.warns(RuntimeWarning, match="without an artifact hash"):
        assert choose_runtime(network, "").name == "torch"
    assert kept.is_file()


def test_an_unknown_runtime_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown runtime 'onnx'; use one of: auto, torch, openvino"):
        choose_runtime(LazyNetwork.of(tiny_model(tmp_path).network), "abc", "onnx")
