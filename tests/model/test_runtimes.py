"""Every runtime of an artifact computes what PyTorch does, whoever asks and in whatever batches."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dermquery.data.case import Query
from dermquery.lab.network.eager import torch_runtime
from dermquery.model.artifact import Artifact, open_artifact
from dermquery.model.load import load_model, runtime_names
from dermquery.model.onnx_runtime import OnnxRuntime
from dermquery.model.openvino_runtime import OpenVinoRuntime
from dermquery.model.runtime import Pixels, Runtime
from tests.tiny import noise_cases

TEXTS: list[str | None] = ["Pigment network: atypical. Streaks: absent.", None, "Streaks: irregular."]
FREE: list[str | None] = ["", "x", "worried patient; " * 90]
RUNTIMES: dict[str, Callable[[Artifact], Runtime]] = {
    "openvino": lambda artifact: OpenVinoRuntime(artifact, "f32"),
    "onnxruntime": OnnxRuntime,
}


def pixels(n: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (n, 73, 73, 3), dtype=np.uint8)


@pytest.mark.parametrize("reading", ["verbatim", "findings"])
@pytest.mark.parametrize("name", RUNTIMES)
def test_graphs_follow_pytorch(packed: Mapping[str, Path], name: str, reading: str) -> None:
    artifact = open_artifact(packed[reading])
    found, expected = RUNTIMES[name](artifact), torch_runtime(artifact)
    (maps, pooled), (true, true_pooled) = found.features(pixels(3)), expected.features(pixels(3))
    assert pooled is not None
    assert true_pooled is not None
    np.testing.assert_allclose(pooled, true_pooled, atol=2e-4)
    assert [m.shape for m in maps] == [m.shape for m in true]
    asked: list[list[str | None]] = [TEXTS, [TEXTS[0]] * 3, [None] * 3, *([FREE] if reading == "verbatim" else [])]
    for texts in asked:
        for start, reference in ((maps, true), (None, None)):
            composed, truly = found.composed(start, texts), expected.composed(reference, texts)
            for one, other in zip(composed, truly, strict=True):
                np.testing.assert_allclose(one, other, atol=2e-4)
            regions, true_regions = found.regions(composed), expected.regions(truly)
            np.testing.assert_allclose(regions.blocks, true_regions.blocks, atol=1e-4)
            for mask, true_mask in zip(regions.masks, true_regions.masks, strict=True):
                np.testing.assert_allclose(mask, true_mask, atol=1e-5)
                np.testing.assert_allclose(mask.sum(axis=(2, 3)), 1, atol=1e-5)


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_vector_does_not_depend_on_its_batch(packed: Mapping[str, Path], name: str) -> None:
    runtime = RUNTIMES[name](open_artifact(packed["findings"]))
    together = runtime.regions(runtime.features(pixels(7)).maps).blocks
    alone = [runtime.regions(runtime.features(pixels(7)[i : i + 1]).maps).blocks for i in range(7)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


@pytest.mark.parametrize("name", RUNTIMES)
def test_threads_do_not_read_each_others_results(packed: Mapping[str, Path], tmp_path: Path, name: str) -> None:
    model = load_model(packed["verbatim"], runtime=name)
    images = [case.image for case in noise_cases(tmp_path, 6)]
    expected = [load_model(packed["verbatim"]).encode_query([Query(image=i, text="streaks")]) for i in images]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: model.encode_query([Query(image=images[i % 6], text="streaks")]), range(40)))
    for i, vectors in enumerate(found):
        np.testing.assert_allclose(vectors, expected[i % 6], atol=1e-4)


def test_runtimes_are_chosen_by_name(packed: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime_names() == ["auto", "openvino", "openvino-f32", "onnxruntime", "torch"]
    names = {name: load_model(packed["findings"], runtime=name).runtime.name for name in runtime_names()}
    assert names["torch"] == "torch"
    assert names["openvino-f32"] == "openvino f32"
    assert names["onnxruntime"] == "onnxruntime cpu"
    assert names["auto"] == names["openvino"]
    monkeypatch.setenv("DERMQUERY_RUNTIME", "onnxruntime")
    assert load_model(packed["findings"]).runtime.name == "onnxruntime cpu"
    with pytest.raises(ValueError, match="unknown runtime 'onnx'; use one of: auto, openvino, openvino-f32"):
        assert load_model(packed["findings"], runtime="onnx").runtime


def test_a_runtime_that_is_not_installed_is_named(packed: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModuleNotFoundError, match="onnxruntime"):
        assert load_model(packed["findings"], runtime="onnxruntime").runtime


def test_bfloat16_runs_only_where_the_artifact_was_checked_in_it(packed: Mapping[str, Path]) -> None:
    artifact = open_artifact(packed["findings"])
    allowed, refused = (
        Artifact(artifact.folder, artifact.manifest.model_copy(update={"bf16": bf16}), artifact.hash)
        for bf16 in (True, False)
    )
    native = "BF16" in OpenVinoRuntime(artifact)._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert OpenVinoRuntime(allowed).name == ("openvino bf16" if native else "openvino f32")
    assert OpenVinoRuntime(refused).name == "openvino f32"


def test_encoding_imports_no_pytorch_and_writes_nothing(tmp_path: Path) -> None:
    (case,) = noise_cases(tmp_path / "images", 1)
    script = f"""
import sys
from dermquery.data.case import Query
from dermquery.model.load import load_model
model = load_model("derm-lite")
case = model.encode_case([{str(case.image)!r}])
query = model.encode_query([Query(image={str(case.image)!r}, text="atypical network"), Query(text="no streaks")])
assert model.layout.score(query, case).shape == (2, 1)
heavy = {{"torch", "transformers", "tokenizers", "lightning", "kornia", "sklearn", "skimage", "pandas", "onnx"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert not {{"openvino_telemetry", "onnxruntime"}} & set(sys.modules)
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DERMQUERY", "XDG"))}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment | {"HOME": str(home)}
    )
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_process_may_end_while_its_model_prepares_itself(packed: Mapping[str, Path], name: str) -> None:
    program = """
import sys
from dermquery.model.artifact import GRAPHS
from dermquery.model.load import load_model
model = load_model(sys.argv[1], runtime=sys.argv[2])
if found := getattr(model.runtime, "_compiled", None):  # in the thread itself, which is where it was seen
    model.runtime.prepare = lambda: [found(graph) for graph in GRAPHS]
model.prepare()
print("answered")
"""
    for _ in range(3):
        command = [sys.executable, "-c", program, str(packed["findings"]), name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "answered\n"), done.stderr
