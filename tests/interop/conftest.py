"""Checkpoints as other projects write them: the reference's tensor names, deterministic weights, a pickled CfgNode."""

from __future__ import annotations

import json
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fill import fill, smooth_image
from torch import Tensor


class CfgNode(dict[str, Any]):
    """Pickled as yacs' class of this name: items, and attributes of its own."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__({key: CfgNode(value) if isinstance(value, dict) else value for key, value in values.items()})
        self.__dict__["__immutable__"] = True
        self.__dict__["__deprecated_keys__"] = set()
        self.__dict__["__renamed_keys__"] = {}


class Config(types.SimpleNamespace):
    """Pickled as vidar's class of this name: attributes alone."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(**{key: Config(value) if isinstance(value, dict) else value for key, value in values.items()})


HOMES = {CfgNode: "yacs.config", Config: "vidar.utils.config"}


@pytest.fixture(autouse=True)
def _not_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither yacs nor vidar can be imported by what is tested."""
    for home in HOMES.values():
        for name in (home, home.partition(".")[0]):
            monkeypatch.setitem(sys.modules, name, None)
    for kind, home in HOMES.items():
        monkeypatch.setattr(kind, "__module__", home)


@contextmanager
def importable() -> Iterator[None]:
    """The classes can be found where pickle looks for them, while a file is written."""
    before = {}
    for kind, home in HOMES.items():
        module = types.ModuleType(home)
        setattr(module, kind.__name__, kind)
        for name in (home, home.partition(".")[0]):
            before[name] = sys.modules[name]
            sys.modules[name] = module
    try:
        yield
    finally:
        sys.modules.update(before)


def save(content: object, path: Path, legacy: bool = False) -> Path:
    """What torch.save writes, in its zip format or the one before 1.6."""
    with importable():
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


class Golden:
    """The reference's networks and their outputs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def values(self, name: str) -> dict[str, np.ndarray]:
        with np.load(self.folder / f"{name}.npz") as file:
            return {key: file[key] for key in file.files}

    def shapes(self, name: str) -> dict[str, list[int]]:
        return json.loads(str(self.values(name)["keys"]))

    def weights(self, name: str) -> dict[str, Tensor]:
        """The reference's state dict, with its deterministic weights."""
        return {key: torch.from_numpy(np.asarray(fill(key, shape))) for key, shape in self.shapes(name).items()}

    def hollow(self, name: str) -> dict[str, Tensor]:
        """The same names and shapes, in a file of no size: every tensor is one zero, repeated."""
        return {key: torch.zeros(()).expand(shape) for key, shape in self.shapes(name).items()}

    def size(self, name: str) -> tuple[int, int]:
        """Height and width of a network's inputs."""
        height, width = self.values(name)["image_shape"][-2:].tolist()
        return height, width

    def image(self, name: str, key: str = "image_name", index: int | None = None) -> np.ndarray:
        """An input [H, W, 3] of a network, in [0, 1]."""
        values = self.values(name)
        image_name = values[key] if index is None else values[key][index]
        return smooth_image(str(image_name), tuple(values["image_shape"]))[0].transpose(1, 2, 0)


@pytest.fixture(scope="session")
def reference(golden: Path) -> Golden:
    return Golden(golden)


def config(size: tuple[int, ...] = (96, 160), model: str = "SelfSupModel", **crop: tuple[float, ...]) -> CfgNode:
    """The part of packnet-sfm's configuration that matters, and some that does not."""
    return CfgNode(
        {
            "name": "",
            "arch": {"seed": 42, "max_epochs": 50},
            "model": {"name": model, "depth_net": {"name": "PackNet01", "version": "1A", "dropout": 0.0}},
            "datasets": {"augmentation": {"image_shape": size, "jittering": (0.2, 0.2, 0.2, 0.05), **crop}},
        }
    )


def packnet_sfm(
    depth: dict[str, Tensor], pose: dict[str, Tensor] | None = None, settings: object = None
) -> dict[str, Any]:
    """The content of a packnet-sfm checkpoint."""
    state = OrderedDict((f"model.depth_net.{name}", tensor) for name, tensor in depth.items())
    state.update((f"model.pose_net.{name}", tensor) for name, tensor in (pose or {}).items())
    content = {"epoch": 7, "state_dict": state, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]}}
    return content if settings is None else {"config": settings, **content}
