"""Training samples of clips, and the order in which training draws them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from packdepth.classes import UNLABELED
from packdepth.config import Augmentation
from packdepth.data.fields import FIELDS
from packdepth.data.label_maps import label_map, read_label_map
from packdepth.data.resized import resized_depth, resized_labels
from packdepth.data.targets import Targets, camera_index, check_calibrated, target_indices
from packdepth.data.teacher_maps import resized_inv_depth
from packdepth.data.transforms import ColorJitter, Window, flipped, zoomed
from packdepth.errors import InputError
from packdepth.geometry import lidar
from packdepth.geometry.camera import Camera
from packdepth.geometry.resize import resize_image
from packdepth.records import Clip, Frame, Readable, Sample

PLAIN = Augmentation(flip=0, jitter=None)  # no changes at all


class ClipDataset(Dataset[Sample]):
    """Data set of training samples.

    The index of an item is a draw: `index + n * len(dataset)` is the n-th repetition of sample `index`. The
    augmentation depends only on the seed and on the draw, not on the process or on the order of the draws.

    Args:
        clips: the clips. In each of them, at least one frame must have all its context frames.
        image_size: height and width of samples, in pixels.
        offsets: offsets of the context frames from the target, in frames.
        fields: names of the optional fields of a sample to fill, see `data.fields.FIELDS`.
        augmentation: augmentation of samples; None for none.
        zoom: smallest share of the images' height and width that a random window covers; 1 for whole images.
        seed: seed of the augmentation.
        cache: whether to keep resized images in memory.
        cameras: the cameras to learn; each sample then holds the index of its camera. Empty if the cameras of the clips
            are used.
        measure: function `(clip, frame) -> measured depth [1, H, W]`, metres; by default `measured_depth`.
        label_classes: number of classes of the label maps; a larger id is an error. By default all ids are accepted.
        teacher: function `(clip, frame) -> inverse depth [h, w]` in any unit, NaN where unknown, that reads a teacher's
            map; None if there are no maps. It is resized to the image size.
        one_size: whether measured depth of all clips gets one size, that of the largest images, as batches of several
            samples need it. If false, it stays at the size of each clip's images.

    Raises InputError for a clip without targets, and for a clip whose camera is neither known nor learned.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        image_size: tuple[int, int],
        offsets: tuple[int, ...],
        fields: frozenset[str] = frozenset(),
        augmentation: Augmentation | None = None,
        zoom: float = 1.0,
        seed: int = 0,
        cache: bool = False,
        cameras: Sequence[Camera] = (),
        measure: Callable[[Clip, Frame], Tensor] | None = None,
        label_classes: int = UNLABELED,
        teacher: Callable[[Clip, Frame], np.ndarray] | None = None,
        one_size: bool = False,
    ) -> None:
        if not cameras:
            check_calibrated(clips)
        self.cameras = {clip: camera_index(clip, cameras) for clip in clips} if cameras else {}
        self.clips, self.image_size, self.offsets, self.fields = clips, image_size, offsets, fields
        self.augmentation, self.zoom, self.seed = augmentation, zoom, seed
        self._measure = measure or measured_depth
        self.label_classes, self._teacher = label_classes, teacher
        sizes = {(clip.camera.height, clip.camera.width) for clip in clips}
        self._truth_size = max(sizes, key=math.prod) if one_size and len(sizes) > 1 else None
        found: list[tuple[Clip, list[int]]] = []
        for clip in clips:
            indices = target_indices(clip, offsets, measured="distance" in fields)
            if not indices and target_indices(clip, offsets):
                raise InputError(
                    f"{clip.path}: no frame of clip {clip.name} has a known distance to its context frames at "
                    f"{list(offsets)}, because too few frames have a speed or a pose; leave the clip out, or cut it "
                    f"with frames"
                )
            if not indices:
                target = "frame" if clip.targets is None else f"target (of {len(clip.targets)})"
                raise InputError(
                    f"{clip.path}: no {target} of clip {clip.name} has context frames at {list(offsets)}; "
                    f"give a longer clip of consecutive frames, or leave it out"
                )
            found.append((clip, indices))
        self.targets = Targets(found)
        self._cache: dict[Readable, Tensor] | None = {} if cache else None

    def __len__(self) -> int:
        return len(self.targets)

    def plain(self) -> ClipDataset:
        """Return the same samples without augmentation and windows; read images are shared."""
        plain = copy(self)
        plain.augmentation, plain.zoom = None, 1.0
        return plain

    def __getitem__(self, draw: int) -> Sample:
        repeat, index = divmod(draw, len(self))
        clip, target = self.targets[index]
        frame = clip.frames[target]
        image = self.read_image(clip, frame.image)
        context = image.new_empty(len(self.offsets), *image.shape)
        for i, offset in enumerate(self.offsets):
            context[i] = self.read_image(clip, clip.frames[target + offset].image)
        sample = Sample(
            names=[f"{clip.name}/{frame.name}"],
            offsets=self.offsets,
            camera=clip.camera.resized(*self.image_size),
            image=image,
            context=context,
            network_image=image,
            network_context=context,
        )
        for name in self.fields:
            FIELDS[name].fill(sample, self, clip, target)
        if self.cameras:
            sample.camera_index = torch.tensor(self.cameras[clip])
            sample.mirrored = torch.tensor(False)
        return self._augmented(sample, np.random.default_rng([self.seed, repeat, index]))

    def _augmented(self, sample: Sample, rng: np.random.Generator) -> Sample:
        augmentation = self.augmentation or PLAIN
        if augmentation.jitter is not None:
            jitter = ColorJitter.draw(augmentation.jitter, rng)
            sample.network_image, sample.network_context = jitter(sample.image), jitter(sample.context)
            if sample.right is not None:
                sample.network_right = jitter(sample.right)
        if self.zoom < 1:
            sample = zoomed(sample, Window.draw(self.zoom, self.image_size, rng))
        return flipped(sample) if rng.random() < augmentation.flip else sample

    def read_image(self, clip: Clip, file: Readable) -> Tensor:
        """Return an image at the image size: [3, H, W] RGB in [0, 1].

        Args:
            clip: the clip of the image.
            file: the image.

        Raises InputError if the image does not have the size of the clip's camera.
        """
        if self._cache is not None and file in self._cache:
            return self._cache[file]
        pixels = file.read()
        if pixels.shape[:2] != (clip.camera.height, clip.camera.width):
            raise InputError(
                f"{file.path}: is {pixels.shape[1]}x{pixels.shape[0]} pixels, but the clip's camera is for "
                f"{clip.camera.width}x{clip.camera.height}"
            )
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
        image = resize_image(image[None], *self.image_size)[0]
        if self._cache is not None:
            self._cache[file] = image
        return image

    def read_depth(self, clip: Clip, frame: Frame) -> Tensor:
        """Return the measured depth of a frame at the resolution of its images: [1, h, w] metres, 0 where unknown.

        If all samples must be of one size, each measurement moves to the pixel of that size which it falls into.

        Args:
            clip: the clip of the frame.
            frame: the frame.
        """
        depth = self._measure(clip, frame)
        if self._truth_size is None or depth.shape[-2:] == self._truth_size:
            return depth
        return torch.from_numpy(resized_depth(depth[0].numpy(), *self._truth_size))[None]

    def read_teacher(self, clip: Clip, frame: Frame) -> Tensor:
        """Return the inverse depth of a frame on the teacher's map: [1, H, W] in any unit, NaN where it is not known.

        Args:
            clip: the clip of the frame.
            frame: the frame, which must have a map.
        """
        assert self._teacher is not None
        return resized_inv_depth(torch.from_numpy(self._teacher(clip, frame)), *self.image_size)[None]

    def read_labels(self, frame: Frame) -> Tensor:
        """Return the class ids of a frame at the image size: [1, H, W] uint8.

        Args:
            frame: the frame, which must have a label map.
        """
        ids = read_label_map(label_map(frame.image, frame.semantic), self.label_classes)
        return torch.from_numpy(resized_labels(ids, *self.image_size))[None]


def measured_depth(clip: Clip, frame: Frame) -> Tensor:
    """Return the measured depth of a frame at the camera's own resolution: [1, H, W] metres, 0 where unknown.

    The depth map of the frame is used if there is one, otherwise its LiDAR scan. Without either, depth is unknown
    everywhere.

    Args:
        clip: the clip of the frame.
        frame: the frame.
    """
    if frame.depth is not None:
        return torch.from_numpy(frame.depth.read())[None]
    if frame.lidar is not None:
        return lidar.depth_map(torch.from_numpy(frame.lidar.read()), clip.camera)
    return torch.zeros(1, clip.camera.height, clip.camera.width)


class DrawSampler(Sampler[list[int]]):
    """Sampler of draws for training: an endless stream of shuffled passes over the data, divided into epochs.

    The position of a batch in the stream depends only on its epoch and its number, so that a resumed run continues
    exactly. Each process takes its share of every batch.

    Args:
        samples: number of samples in the data set.
        batch_size: samples of a step, over all processes.
        epoch_steps: steps of an epoch.
        seed: seed of the shuffling.
        rank: number of this process.
        processes: number of processes; it divides `batch_size`.
        epoch: number of the first epoch.

    >>> batches = list(DrawSampler(samples=3, batch_size=1, epoch_steps=3, seed=0))
    >>> sorted(batches)
    [[0], [1], [2]]
    """

    def __init__(
        self,
        samples: int,
        batch_size: int,
        epoch_steps: int,
        seed: int,
        rank: int = 0,
        processes: int = 1,
        epoch: int = 0,
    ) -> None:
        self.samples, self.batch_size, self.seed = samples, batch_size, seed
        self.steps = epoch_steps
        self.share = batch_size // processes
        self.start = rank * self.share
        self.epoch = epoch
        self._order = -1, np.empty(0, dtype=np.int64)  # number and permutation of the latest pass over the data

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration yields.

        Args:
            epoch: number of the epoch.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        first = self.epoch * self.steps * self.batch_size
        for step in range(self.steps):
            start = first + step * self.batch_size + self.start
            yield [self._draw(position) for position in range(start, start + self.share)]

    def _draw(self, position: int) -> int:
        """Return the draw at a position of the endless stream."""
        repeat, place = divmod(position, self.samples)
        if self._order[0] != repeat:
            self._order = repeat, np.random.default_rng([self.seed, repeat]).permutation(self.samples)
        return repeat * self.samples + int(self._order[1][place])


class ShardSampler(Sampler[list[int]]):
    """Sampler for validation: each sample once, in batches of one, divided among the processes.

    Args:
        samples: number of samples in the data set.
        rank: number of this process.
        processes: number of processes.

    >>> list(ShardSampler(samples=3, rank=1, processes=2))
    [[1]]
    """

    def __init__(self, samples: int, rank: int = 0, processes: int = 1) -> None:
        self.indices = range(rank, samples, processes)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[list[int]]:
        return ([index] for index in self.indices)
