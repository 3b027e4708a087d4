"""`packdepth study reconstruction`: how much of an image survives packing and pooling (CVPR 2020, figure 4).

One layer halves the resolution of an image to a few channels, another one doubles it again. Both are trained to
reproduce images with L1, and judged on other images. The layers are packing and unpacking with 1 to 8 features of the
3D convolution, the same without 3D convolution, strided convolution, and max pooling with the 2D convolutions kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from markupsafe import Markup
from PIL import Image
from torch import Tensor, nn

from packdepth.charts import bars
from packdepth.city.command import require_city
from packdepth.errors import InputError, check_least
from packdepth.files import write_image
from packdepth.html import WIDTH, panels
from packdepth.html.page import Section
from packdepth.networks.encoders.packnet import initialize
from packdepth.networks.layers.packing import channelwise_conv3d
from packdepth.sources.open import open_clips
from packdepth.studies import engine
from packdepth.studies.budget import Budget
from packdepth.studies.cost import parameters
from packdepth.studies.engine import Row, Scores, Study, remembered
from packdepth.studies.setting import render
from packdepth.studies.side_by_side import in_processes

Layers = Literal["packing", "strided", "pooling"]
CITY = Budget(drives=24, frames=8, val_drives=8, size=(192, 640))  # the drives of the city images; one frame of each 8
BATCH, CROP = 8, 64  # crops of a step, and their side in pixels
LEARNING_RATE = 5e-3  # of Adam, from which it falls to zero along a cosine; chosen on CamVid with 1500 steps
MOST_IMAGES = 200  # of a set, evenly spread, so that they fit in memory
DETAIL = 40  # side of the detail, in pixels; it divides the width of a picture on the page
ZOOM = WIDTH // DETAIL  # enlargement of the detail
PARAMETERS, LOSS = "parameters", "L1"


@dataclass(frozen=True)
class Variant:
    """A pair of layers."""

    layers: Layers
    """The layers."""
    features: int = 0
    """Features D of the 3D convolutions of packing; 0 for none."""
    metric: bool = True
    """True: all scores are meaningful."""

    @property
    def name(self) -> str:
        """The name in files, such as "packing-2"."""
        return f"{self.layers}-{self.features}" if self.layers == "packing" else self.layers

    @property
    def title(self) -> str:
        """The title in tables, such as "packing, D = 2"."""
        if self.layers == "packing":
            return f"packing, D = {self.features}" if self.features else "space-to-depth, 2D convolution"
        return {"strided": "strided convolution, bilinear", "pooling": "max pooling, bilinear"}[self.layers]


VARIANTS = (
    *(Variant("packing", features) for features in (1, 2, 4, 8)),
    Variant("packing", 0),
    Variant("strided"),
    Variant("pooling"),
)


@dataclass(frozen=True)
class Plan:
    """Everything that the scores depend on.

    Args:
        data: the folder that holds camvid/ and clips/; None for city images only.
        images: training images and other images to judge by, in place of all other sets: anything that
            `packdepth.open` opens; None for the sets.
        channels: channels of the image at half the resolution.
        steps: steps of each training, of 8 crops of 64x64 pixels each.
        device: device of the trainings, such as "cpu" or "cuda".
        seeds: number of trainings of each variant and set.
        processes: number of trainings at a time.
    """

    data: Path | None = None
    images: tuple[Path, Path] | None = None
    channels: int = 4
    steps: int = 5000
    device: str = "cpu"
    seeds: int = 3
    processes: int = 2

    def check(self) -> None:
        """Raise InputError, which names the option, for a value that cannot be used."""
        for option, least in (("channels", 2), ("steps", 1), ("seeds", 1), ("processes", 1)):
            check_least(option, getattr(self, option), least)
        if self.channels % 2:
            raise InputError(f"--channels: is {self.channels}; it must be even, so that 8 features divide 4 times it")


class PackedImage(nn.Module):
    """Packing of an image to a few channels, and its unpacking: [B, 3, H, W] to [B, 3, H, W], H and W even.

    The blocks are those of PackNet without normalization, which would remove the brightness of images. A 1x1
    convolution turns the unpacked channels into colors.

    Args:
        channels: channels at half the resolution, and after unpacking.
        features: features D of the 3D convolutions; 0 for none.

    >>> PackedImage(channels=4, features=2)(torch.rand(1, 3, 8, 6)).shape
    torch.Size([1, 3, 8, 6])
    """

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        times = max(features, 1)
        self.pack3d = nn.Conv3d(1, features, 3, padding=1) if features else None
        self.pack = nn.Conv2d(12 * times, channels, 3, padding=1)
        self.unpack = nn.Conv2d(channels, 4 * channels // times, 3, padding=1)
        self.unpack3d = nn.Conv3d(1, features, 3, padding=1) if features else None
        self.colors = nn.Conv2d(channels, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the reproduced image.

        Args:
            image: [B, 3, H, W].
        """
        x = F.pixel_unshuffle(image, 2)
        x = F.elu(self.pack(x if self.pack3d is None else channelwise_conv3d(x, self.pack3d)))
        x = F.elu(self.unpack(x))
        x = x if self.unpack3d is None else channelwise_conv3d(x, self.unpack3d)
        colors: Tensor = self.colors(F.pixel_shuffle(x, 2))
        return colors


class PooledImage(nn.Module):
    """The counterpart of `PackedImage`: max pooling or a strided convolution, and bilinear upsampling.

    The 2D convolutions are kept, with the numbers of channels that there are without rearrangement.

    Args:
        channels: channels at half the resolution, and after upsampling.
        strided: whether the first convolution has a stride of 2, in place of max pooling.

    >>> PooledImage(channels=4)(torch.rand(1, 3, 8, 6)).shape
    torch.Size([1, 3, 8, 6])
    """

    def __init__(self, channels: int, strided: bool = False) -> None:
        super().__init__()
        self.strided = strided
        self.pack = nn.Conv2d(3, channels, 3, stride=2 if strided else 1, padding=1)
        self.unpack = nn.Conv2d(channels, channels, 3, padding=1)
        self.colors = nn.Conv2d(channels, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the reproduced image.

        Args:
            image: [B, 3, H, W].
        """
        x = F.elu(self.pack(image if self.strided else F.max_pool2d(image, 2)))
        x = F.elu(self.unpack(F.interpolate(x, scale_factor=2, mode="bilinear")))
        colors: Tensor = self.colors(x)
        return colors


def build(variant: Variant, channels: int) -> nn.Module:
    """Return the network of a variant, with random weights drawn as PackNet's are.

    Args:
        variant: the variant.
        channels: channels at half the resolution.
    """
    network: nn.Module
    if variant.layers == "packing":
        network = PackedImage(channels, variant.features)
    else:
        network = PooledImage(channels, strided=variant.layers == "strided")
    initialize(network)
    return network


@engine.owning
def reconstruction(output: Path, plan: Plan) -> Path:
    """Carry out the study and return the path of its page.

    Args:
        output: the folder of the study. What an earlier call trained there is not trained again.
        plan: the budget and the data.

    Raises InputError if the budget is too small, if the data is not there, or if the folder holds another study.
    """
    plan.check()
    engine.begin(output, plan)
    sets = image_sets(output, plan)

    def compute(seed: int) -> list[Scores]:
        tasks = [Task(variant, name, sets[name], seed) for variant in VARIANTS for name in sets]
        losses = in_processes(partial(loss, output, plan), tasks, plan.processes)
        found = {(task.variant, task.name): value for task, value in zip(tasks, losses, strict=True)}
        return [
            {
                **{f"{name} {LOSS}": found[variant, name] for name in sets},
                PARAMETERS: parameters(build(variant, plan.channels)),
            }
            for variant in VARIANTS
        ]

    study = Study(
        name="reconstruction",
        title="How much of an image survives packing",
        claim="one packing and one unpacking block reproduce images with an L1 loss of 0.0079, max pooling and "
        "bilinear upsampling with 0.063 (Guizilini et al., CVPR 2020, figure 4)",
        variants=VARIANTS,
        charts=charts,
        digits={PARAMETERS: 0} | {f"{name} {LOSS}": 4 for name in sets},
        figures=lambda: [details(output, name, sets[name]) for name in sets],
    )
    crops_in_words = f"{BATCH} crops of {CROP}x{CROP} pixels"
    words = f"{plan.steps} steps of {crops_in_words}, {plan.channels} channels at half the resolution"
    return engine.carry_out(study, output, plan, words, plan.seeds, compute)


# --- images -------------------------------------------------------------------------------------------------------


def image_sets(output: Path, plan: Plan) -> dict[str, tuple[Path, Path]]:
    """Return the paths of the training images and of the images to judge by, by the name of the set.

    Args:
        output: the folder of the study, where the city's drives are rendered.
        plan: the budget and the data.

    Raises InputError if images are not there, or if the extra `city` is not installed.
    """
    if plan.images is not None:
        return {"images": plan.images}
    sets = {}
    if plan.data is not None:
        sets["CamVid"] = plan.data / "camvid" / "train", plan.data / "camvid" / "val"
        sets["KITTI"] = plan.data / "clips" / "kitti_0926_mono", plan.data / "clips" / "kitti2015_pairs"
    for path in (path for pair in sets.values() for path in pair):
        if not path.exists():
            raise InputError(f"--data: {path} is not there; leave --data out for city images alone")
    require_city()
    render(output / "data", CITY, (1, CITY.frames), {"baseline": None, "scanner": None}, plan.processes)
    return sets | {"city": (output / "data" / "train", output / "data" / "val")}


@cache
def read_images(path: Path) -> tuple[Tensor, ...]:
    """Return the images of a set: [3, H, W] uint8, RGB, H and W even.

    Args:
        path: anything that `packdepth.open` opens.
    """
    frames = [frame for clip in open_clips(path) for frame in clip.frames]
    step = math.ceil(len(frames) / MOST_IMAGES)
    return tuple(torch.from_numpy(_even(frame.image.read())).permute(2, 0, 1) for frame in frames[::step])


def _even(image: np.ndarray) -> np.ndarray:
    """Return an image [H, W, 3] without its last row or column if their number is odd."""
    height, width = image.shape[:2]
    return image[: height // 2 * 2, : width // 2 * 2].copy()


def crops(images: Sequence[Tensor], count: int, side: int, rng: np.random.Generator) -> Tensor:
    """Return random crops of random images: [count, 3, side, side] in [0, 1].

    Args:
        images: images [3, H, W] uint8.
        count: number of crops.
        side: height and width of a crop, in pixels; at most those of the images.
        rng: the random numbers.
    """
    chosen = []
    for index in rng.integers(len(images), size=count):
        image = images[index]
        top, left = (int(rng.integers(size - side + 1)) for size in image.shape[1:])
        chosen.append(image[:, top : top + side, left : left + side])
    return torch.stack(chosen).float() / 255


# --- trainings ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """A training of the study."""

    variant: Variant
    """The pair of layers."""
    name: str
    """The name of the set of images."""
    images: tuple[Path, Path]
    """Paths of the training images and of the images to judge by."""
    seed: int
    """The seed of the weights and of the crops."""

    def folder(self, output: Path) -> Path:
        """Return the folder of the training.

        Args:
            output: the folder of the study.
        """
        return output / "runs" / f"{self.variant.name}-{self.name}-{self.seed}"


def loss(output: Path, plan: Plan, task: Task) -> float:
    """Return the L1 loss of a trained pair of layers on the images to judge by. It is kept in the training's folder.

    Args:
        output: the folder of the study.
        plan: the budget.
        task: the training.
    """
    return remembered(task.folder(output) / "scores.json", partial(_trained, output, plan, task))[LOSS]


def _trained(output: Path, plan: Plan, task: Task) -> Scores:
    """Train a pair of layers, write a reproduced detail, and return the loss."""
    torch.set_num_threads(1)
    folder = task.folder(output)
    network = fit(task.variant, read_images(task.images[0].resolve()), plan, task.seed)
    judged = read_images(task.images[1].resolve())
    image, top, left = detail(judged)
    with torch.inference_mode():
        found = reproduced(network, image)[:, top : top + DETAIL, left : left + DETAIL]
        write_image(folder / "detail.png", (255 * found.clamp(0, 1)).round().byte().permute(1, 2, 0).numpy())
        return {LOSS: float(np.mean([(reproduced(network, x) - x.float() / 255).abs().mean().item() for x in judged]))}


def fit(variant: Variant, images: Sequence[Tensor], plan: Plan, seed: int) -> nn.Module:
    """Return a pair of layers that is trained to reproduce images.

    Args:
        variant: the pair of layers.
        images: training images [3, H, W] uint8.
        plan: the budget.
        seed: the seed of the weights and of the crops.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = build(variant, plan.channels).to(plan.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, plan.steps)
    side = min(CROP, *(size for image in images for size in image.shape[1:]))
    for _ in range(plan.steps):
        batch = crops(images, BATCH, side, rng).to(plan.device)
        optimizer.zero_grad()
        F.l1_loss(network(batch), batch).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return network.eval()


def reproduced(network: nn.Module, image: Tensor) -> Tensor:
    """Return an image that a pair of layers has reproduced: [3, H, W].

    Args:
        network: the pair of layers.
        image: [3, H, W] uint8.
    """
    device = next(network.parameters()).device
    result: Tensor = network(image[None].to(device).float() / 255)[0].cpu()
    return result


# --- page ---------------------------------------------------------------------------------------------------------


def detail(images: Sequence[Tensor]) -> tuple[Tensor, int, int]:
    """Return the image with the square of most contrast, and its top and left pixel.

    Contrast is the mean absolute difference of neighboring pixels of a row.

    Args:
        images: images [3, H, W] uint8, at least `DETAIL` pixels high and wide.
    """
    best: tuple[float, Tensor, int, int] | None = None
    for image in images:
        gray = image.float().mean(0)
        edges = F.pad((gray[:, 1:] - gray[:, :-1]).abs(), (0, 1))
        side = min(DETAIL, *edges.shape)
        means = F.avg_pool2d(edges[None, None], side, stride=8)[0, 0]
        place = int(means.argmax())
        top, left = 8 * (place // means.shape[1]), 8 * (place % means.shape[1])
        if best is None or means.max() > best[0]:
            best = float(means.max()), image, top, left
    assert best is not None
    return best[1:]


def details(output: Path, name: str, images: tuple[Path, Path]) -> Section:
    """Return a section with a detail, as it is and as each pair of layers reproduces it, at equal zoom.

    Args:
        output: the folder of the study.
        name: name of the set.
        images: paths of the training images and of the images to judge by.
    """
    image, top, left = detail(read_images(images[1].resolve()))
    pictures = {"input": image[:, top : top + DETAIL, left : left + DETAIL].permute(1, 2, 0).numpy()}
    for variant in VARIANTS:
        with Image.open(Task(variant, name, images, seed=1).folder(output) / "detail.png") as picture:
            pictures[variant.title] = np.asarray(picture)
    enlarged = {title: picture.repeat(ZOOM, 0).repeat(ZOOM, 1) for title, picture in pictures.items()}
    return Section(f"{name}: a detail, {DETAIL} pixels wide", panels(name, enlarged))


def charts(rows: Sequence[Row[Variant]]) -> list[Markup]:
    """Return the plots of the page: the loss on each set.

    Args:
        rows: the results of all variants.
    """
    names = [name for name in rows[0].seeds[0] if name.endswith(LOSS)]
    return [bars({row.variant.title: (row.mean(name), row.spread(name)) for row in rows}, name) for name in names]
