"""Features on disk: computed once, the same as without, and never those of another network, size or image."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import segmenter
import torch
import yaml
from torch import Tensor

from packdepth.config import load_run
from packdepth.errors import InputError
from packdepth.networks.guidance import NetworkGuidance
from packdepth.segmentation.fpn import FPN
from packdepth.training import checkpoints
from packdepth.training import run as training
from packdepth.training.features import FeatureCache
from packdepth.training.run import train

CHANNELS = {16: 4, 4: 4, 2: 4}


def guidance(seed: int = 0) -> NetworkGuidance:
    torch.manual_seed(seed)
    return NetworkGuidance(FPN(("road", "sky"), layers=18, width=8), CHANNELS)


def counted(guide: NetworkGuidance) -> tuple[list[int], Callable[[Tensor], list[Tensor]]]:
    """How many images were computed at a time, and what computes them."""
    calls: list[int] = []

    def compute(images: Tensor) -> list[Tensor]:
        calls.append(len(images))
        return guide.computed(images)

    return calls, compute


def test_features_are_computed_once_and_guide_like_those_of_the_network(tmp_path: Path) -> None:
    guide, images = guidance(), torch.rand(2, 3, 32, 64)
    calls, compute = counted(guide)
    cache = FeatureCache(tmp_path, guide)
    cache(images[:1], compute)
    first = cache(images, compute)
    second = cache(images.flip(0), compute)
    assert calls == [1, 1]
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other.flip(0))
    expected = guide.features(images)
    guide.cache = cache
    for stride in CHANNELS:
        one, other = (features(stride, (32 // stride, 64 // stride)) for features in (guide.features(images), expected))
        one, other = (torch.nn.functional.normalize(x, dim=1) for x in (one, other))
        torch.testing.assert_close(one, other, atol=2e-3, rtol=0)


def test_another_network_size_or_image_has_other_features(tmp_path: Path) -> None:
    guide, image = guidance(), torch.rand(1, 3, 32, 64)
    calls, compute = counted(guide)
    FeatureCache(tmp_path, guide)(image, compute)
    for other in (image.flip(-1), image.reshape(1, 3, 64, 32), image * 0.999):
        FeatureCache(tmp_path, guide)(other, compute)
    retrained = guidance()
    with torch.no_grad():
        retrained.semantics.get_parameter("classify.bias").add_(1e-3)
    FeatureCache(tmp_path, retrained)(image, compute)
    assert calls == [1] * 5
    fewer = NetworkGuidance(guide.semantics, {16: 4})
    names = [FeatureCache(tmp_path, each).network for each in (guide, retrained, fewer)]
    assert len(set(names)) == 3
    assert FeatureCache(tmp_path, guidance()).network == names[0]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    guide, image = guidance(), torch.rand(1, 3, 32, 64)
    cache = FeatureCache(tmp_path, guide)
    cache(image, guide.computed)
    (path,) = tmp_path.glob("*/*")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=f"{path.name}: cannot be read .*; remove it"):
        cache(image, guide.computed)


@pytest.fixture
def guided_file(run_values: dict[str, Any], tmp_path: Path) -> Path:
    semantics = {"kind": "fpn", "checkpoint": str(segmenter.write(tmp_path / "semantics"))}
    run_values["networks"]["depth"]["guidance"] = {"semantics": semantics, "cache": str(tmp_path / "cache")}
    run_values["data"]["augmentation"] = {"flip": 0.5}  # and jitter, which the segmentation network does not see
    run_values["training"] |= {"epochs": 2, "epoch_steps": 4}
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(run_values))
    return path


def test_a_run_keeps_no_more_than_it_announces(
    guided_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_scale = ("objective=[{kind: photometric}]",)  # nothing is predicted after the training to measure it,
    for module in (training, checkpoints):
        monkeypatch.setattr(module, "flat_depth", lambda *_: None)  # or to see whether it has collapsed
    train(guided_file, tmp_path / "first", overrides=no_scale)
    announced = capsys.readouterr().out.splitlines()[0]
    assert announced.startswith("features   of ")
    images = int(announced.split("of ")[1].split()[0])
    kept = list((tmp_path / "cache").glob("*/*"))
    assert 4 < len(kept) <= 2 * images
    monkeypatch.setattr(NetworkGuidance, "computed", lambda self, shown: [torch.zeros(1, 1, 1, 1)])  # never asked again
    train(guided_file, tmp_path / "second", overrides=no_scale)
    one, other = ((tmp_path / name / "metrics.csv").read_text() for name in ("first", "second"))
    assert one == other


def test_without_room_on_the_disk_nothing_begins(
    guided_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match=r"has 0.0 MB free, but about .* are needed; name another folder"):
        train(guided_file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_label_maps_are_not_cached(run_file: Path) -> None:
    with pytest.raises(InputError, match="label maps guide; remove it"):
        load_run(run_file, ("networks.depth.guidance={semantics: {kind: labels}, cache: there}",))
