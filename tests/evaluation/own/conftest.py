"""Networks that know the small world of `tests/world.py`: they look up the depth of the frame that they are shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import world
from described import described
from torch import Tensor, nn

from packdepth.config import parse_run
from packdepth.inference.predictor import Predictor
from packdepth.networks.ego_motion import PairPoseNetwork

HEIGHT, WIDTH = world.CAMERA.height, world.CAMERA.width
Change = Callable[[Tensor], Tensor]  # of inverse depth [B, 1, H, W]


def image(index: int) -> Tensor:
    """The image of a frame, [1, 3, H, W]."""
    return torch.from_numpy(world.picture(index)).permute(2, 0, 1)[None] / 255


def inv_depth(index: int) -> Tensor:
    """The true inverse depth of a frame, [1, 1, H, W]."""
    return 1 / torch.from_numpy(world.render(index)[1]).float()[None, None]


class Knowing(nn.Module):
    """Returns the true inverse depth of the frame that it is shown, mirrored or not, after a change."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change
        images = torch.cat([image(i) for i in range(world.FRAMES)])
        depths = torch.cat([inv_depth(i) for i in range(world.FRAMES)])
        self.known = torch.cat([images, images.flip(-1)]), torch.cat([depths, depths.flip(-1)])

    def forward(self, images: Tensor) -> list[Tensor]:
        frames, depths = self.known
        nearest = (images[:, None] - frames).abs().mean((2, 3, 4)).argmin(1)
        return [self.change(depths[nearest])]


class Forward(PairPoseNetwork):
    """Ego-motion straight ahead by a step of the world, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, target: Tensor, context: Tensor, offsets: tuple[int, ...]) -> Tensor:
        T = torch.eye(4).expand(*context.shape[:2], 4, 4).clone()
        T[..., 2, 3] = -self.factor * world.STEP
        return T


def knowing(
    change: Change = lambda p: p,
    step: float = 1.0,
    clips: tuple[str, ...] = ("folder/elsewhere",),
    tail: float = 0.0,
    frames: int = 6,
) -> Predictor:
    """A predictor of a `Knowing` network, which was trained on some clips."""
    run = parse_run(
        {
            "data": {
                "train": [{"kind": "folder", "root": "clips"}],
                "image_size": [HEIGHT, WIDTH],
                "val_tail": tail,
            },
            "networks": {"depth": {"kind": "depth_resnet"}, "pose": {"kind": "posenet"}},
            "objective": [{"kind": "photometric"}],
            "training": {"epochs": 1},
        },
        "test",
    )
    meta = described(clips=list(clips), frames=frames)
    return Predictor(run, meta, Knowing(change), Forward(step), torch.device("cpu"))


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of the small world, with depth, speeds and poses. Not to be written to."""
    return world.write(tmp_path_factory.mktemp("own") / "my_drive")
