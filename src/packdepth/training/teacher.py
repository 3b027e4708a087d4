"""The network that teaches: loaded by reference, fixed, and computed without gradient or from a cache."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from packdepth.checkpoint import RUN, Meta
from packdepth.config import Run
from packdepth.data.dataset import ClipDataset
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.geometry.resize import resize_image, resize_inv_depth
from packdepth.inference.cameras import match_camera, match_clip
from packdepth.inference.predictor import load
from packdepth.networks.guidance import NetworkGuidance, guidance_of
from packdepth.networks.layers.formats import without_autocast
from packdepth.networks.transformers_depth import TransformersDepth, TransformersDepthBlock
from packdepth.objectives.teacher import teacher_of
from packdepth.records import Batch, Clip
from packdepth.training.initial import checkpoint_at
from packdepth.training.map_cache import MapCache, fingerprint

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")  # OWNER/NAME, as the Hub names models


@dataclass(frozen=True)
class Knowledge:
    """A depth network, and all that is needed to use its depth.

    >>> Knowledge(nn.Identity(), (32, 64), None, False, "").image_size
    (32, 64)
    """

    network: nn.Module  # depth network: images [B, 3, H, W], RGB in [0, 1], to a list of inverse depths, finest first
    image_size: tuple[int, int] | None  # height and width of its input, in pixels; None: as the training's images
    meta: Meta | None  # description of its checkpoint; None for a model of transformers
    is_metric: bool  # whether its depth is in metres
    facts: str  # everything else that its depth depends on, such as its options


class TeacherNetwork:
    """The inverse depth that a network teaches.

    Each image is computed alone, so that its inverse depth does not depend on the batch that it is drawn with, and is
    the same with and without a cache.

    Args:
        name: the folder or name that the network was loaded from.
        knowledge: the network.
        metric: whether its depth must be in metres. It is then corrected for the focal length of each camera.
        folder: folder of the cache; None for none.

    Attributes:
        name: the folder or name that the network was loaded from.
        identity: hash of the network and its options.
        folder: folder of the cache; None for none.
    """

    def __init__(self, name: str, knowledge: Knowledge, metric: bool = False, folder: Path | None = None) -> None:
        self.name, self.knowledge, self.metric, self.folder = name, knowledge, metric, folder
        self.network = knowledge.network.eval().requires_grad_(False)
        guidance = guidance_of(self.network)
        semantics = fingerprint(guidance.semantics, "") if isinstance(guidance, NetworkGuidance) else ""
        self.identity = fingerprint(self.network, f"{knowledge.facts} {knowledge.image_size} {semantics}")
        self.cache = None if folder is None else MapCache(folder, self.identity)

    def __call__(self, batch: Batch) -> Tensor:
        """Return the teacher's inverse depth of the images of a batch, without color jitter: [B, 1, H, W].

        Args:
            batch: the batch.
        """
        (inv_depth,) = self.computed(batch.image) if self.cache is None else self.cache(batch.image, self.computed)
        if not self.metric or self.knowledge.meta is None:
            return inv_depth
        return inv_depth / inv_depth.new_tensor(_factors(batch.camera, self.knowledge.meta))[:, None, None, None]

    @torch.no_grad()
    def computed(self, images: Tensor) -> list[Tensor]:
        """Return the inverse depth of images, at their size: [[B, 1, H, W]].

        Args:
            images: [B, 3, H, W] RGB in [0, 1].
        """
        self.network.to(images.device)
        with without_autocast(images.device):
            return [torch.cat([self._one(image[None].float()) for image in images])]

    def __str__(self) -> str:
        return f"{self.name} ({self.identity})"

    def check_clips(self, clips: Sequence[Clip]) -> None:
        """Raise InputError, which names the clip, if the teacher must be metric and is not for a clip.

        Args:
            clips: the clips of the run.
        """
        meta = self.knowledge.meta
        if not self.metric or meta is None:
            return
        for clip in clips:
            match = match_clip(clip, meta)
            if not match.is_metric:
                raise InputError(
                    f"objective: teacher.metric: {self.name} is not metric on clip {clip.name}: {match.warning}; or "
                    f"remove metric: true"
                )

    def _one(self, image: Tensor) -> Tensor:
        """Return the inverse depth [1, 1, H, W] of an image [1, 3, H, W]."""
        height, width = image.shape[-2:]
        size = self.knowledge.image_size or (height, width)
        inv_depth: Tensor = self.network(resize_image(image, *size))[0]
        return resize_inv_depth(inv_depth.float(), height, width)


def teacher_network(run: Run) -> TeacherNetwork | None:
    """Return the network that teaches in a run; None if there is none.

    Args:
        run: the run.

    Raises InputError if the network cannot be loaded, needs label maps, or is to be metric and is not.
    """
    term = teacher_of(run.objective)
    if term is None or term.network is None:
        return None
    knowledge = _model(term.network) if _is_model(term.network) else _checkpoint(term.network)
    knowledge = replace(knowledge, image_size=term.image_size or knowledge.image_size)
    if term.metric:
        if not knowledge.is_metric:
            raise InputError(
                f"objective: teacher.metric: the depth of {term.network} is known up to a factor; name a metric "
                f"network, or remove metric: true"
            )
        if run.camera.learn:
            raise InputError(
                "objective: teacher.metric: metres of a teacher depend on the focal length, which camera.learn learns; "
                "calibrate the camera, or remove metric: true"
            )
    return TeacherNetwork(term.network, knowledge, term.metric, term.cache)


def cache_teacher(teacher: TeacherNetwork, run: Run, parts: Sequence[ClipDataset]) -> str:
    """Make room for the cache of a teacher, and return a description of its content and maximum size.

    Args:
        teacher: the teacher, which has a cache.
        run: the run.
        parts: the samples for training, and those for validation.

    Raises InputError if the disk does not have enough room.
    """
    assert teacher.cache is not None
    images, (height, width) = len({target for part in parts for target in part.targets}), run.image_size
    size = height * width * torch.float32.itemsize
    return teacher.cache.reserve(images, size, run.data.augmentation.flip > 0, "the cache of the teacher")


def _is_model(name: str) -> bool:
    """Return whether a name is that of a model of transformers: of its folder, or one on the Hub."""
    path = Path(name)
    if path.is_dir():
        return (path / "config.json").is_file() and not (path / RUN).is_file()
    return not path.exists() and HUB_NAME.fullmatch(name) is not None


def _model(name: str) -> Knowledge:
    """Return a depth network of transformers, whose scale and shift are those of its output."""
    block = TransformersDepthBlock(model=name).completed()
    if block.output == "depth":
        raise InputError(
            f"objective: teacher.network: {name} predicts depth whose shift is not known, so that its inverse has no "
            f"known shape; name a model of inverse depth or of metres"
        )
    network = block.assemble()
    block.start(network)
    if block.output == "inverse":
        assert isinstance(network, TransformersDepth)
        network.scale.remove_shift()
    return Knowledge(network, None, None, block.output == "metric", block.model_dump_json())


def _checkpoint(name: str) -> Knowledge:
    """Return the network of a checkpoint."""
    predictor = load(checkpoint_at("objective: teacher.network", name), device="cpu")
    depth = predictor.run.networks.depth
    if depth.label_classes is not None:
        raise InputError(
            f"objective: teacher.network: label maps guide {name}, so that images alone give no depth; predict with "
            f"it, with --save depth, and give the depth as maps"
        )
    meta = predictor.meta
    return Knowledge(predictor.depth, predictor.run.image_size, meta, meta.metric, depth.model_dump_json())


def _factors(camera: Camera, meta: Meta) -> list[float]:
    """Return the factor of predicted depth for each camera of a batch, by its focal length."""
    height, width = camera.height, camera.width
    columns = [torch.as_tensor(values).detach().tolist() for values in (camera.fx, camera.fy, camera.cx, camera.cy)]
    cameras = [Camera(fx, fy, cx, cy, width, height) for fx, fy, cx, cy in zip(*columns, strict=True)]
    return [match_camera(each, height, width, meta).factor for each in cameras]
