"""Samples of clips, and the order in which training draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from packdepth.classes import UNLABELED
from packdepth.config import Augmentation
from packdepth.data.fields import FIELDS
from packdepth.data.label_maps import label_map, read_label_map
from packdepth.data.resized import resized_labels
from packdepth.data.targets import camera_index, check_calibrated, target_indices
from packdepth.data.transforms import ColorJitter, flipped
from packdepth.errors import InputError
from packdepth.geometry import lidar
from packdepth.geometry.camera import Camera
from packdepth.geometry.resize import resize_image
from packdepth.records import Clip, Frame, Readable, Sample


class ClipDataset(Dataset[Sample]):
    """Samples of clips.

    An item is asked for by a draw: `index + n * len(dataset)` is the n-th time that sample `index` is seen. Its
    augmentation depends on the seed and the draw alone, whichever process makes it and whenever.

    Args:
        clips: each of which must have a frame with all its context.
        image_size: height and width of samples, pixels.
        offsets: of the context frames, in frames.
        fields: optional fields of the sample to fill, by name.
        augmentation: None for none.
        seed: of the augmentation.
        cache: keep resized images in memory.
        cameras: that are learned: samples tell which of them is theirs. Empty where calibrations are used.
        measure: gives measured depth of a frame, where it is asked for: by default all that there is.
        label_classes: number of classes that label maps may hold, if they are asked for; by default any.

    Raises InputError for a clip without targets, and for one whose camera is neither known nor learned.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        image_size: tuple[int, int],
        offsets: tuple[int, ...],
        fields: frozenset[str] = frozenset(),
        augmentation: Augmentation | None = None,
        seed: int = 0,
        cache: bool = False,
        cameras: Sequence[Camera] = (),
        measure: Callable[[Clip, Frame], Tensor] | None = None,
        label_classes: int = UNLABELED,
    ) -> None:
        if not cameras:
            check_calibrated(clips)
        self.cameras = {clip: camera_index(clip, cameras) for clip in clips} if cameras else {}
        self.clips, self.image_size, self.offsets, self.fields = clips, image_size, offsets, fields
        self.augmentation, self.seed, self._measure = augmentation, seed, measure or measured_depth
        self.label_classes = label_classes
        self.targets: list[tuple[Clip, int]] = []
        for clip in clips:
            indices = target_indices(clip, offsets)
            if not indices:
                target = "frame" if clip.targets is None else f"target (of {len(clip.targets)})"
                raise InputError(
                    f"{clip.path}: no {target} of clip {clip.name} has context frames at {list(offsets)}; "
                    f"give a longer clip of consecutive frames, or leave it out"
                )
            self.targets += [(clip, i) for i in indices]
        self._cache: dict[Readable, Tensor] | None = {} if cache else None

    def __len__(self) -> int:
        return len(self.targets)

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
        if self.augmentation is None:
            return sample
        if self.augmentation.jitter is not None:
            jitter = ColorJitter.draw(self.augmentation.jitter, rng)
            sample.network_image, sample.network_context = jitter(sample.image), jitter(sample.context)
            if sample.right is not None:
                sample.network_right = jitter(sample.right)
        return flipped(sample) if rng.random() < self.augmentation.flip else sample

    def read_image(self, clip: Clip, file: Readable) -> Tensor:
        """Return an image of the clip, [3, H, W] RGB in [0, 1] at the image size."""
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
        """Return the measured depth of a frame at its own resolution, [1, h, w] metres, 0 where unknown."""
        return self._measure(clip, frame)

    def read_labels(self, frame: Frame) -> Tensor:
        """Return the class ids of a frame at the image size, [1, H, W] uint8."""
        ids = read_label_map(label_map(frame.image, frame.semantic), self.label_classes)
        return torch.from_numpy(resized_labels(ids, *self.image_size))[None]


def measured_depth(clip: Clip, frame: Frame) -> Tensor:
    """Measured depth of a frame at the camera's own resolution, [1, H, W] metres, 0 where unknown.

    A depth map is taken before a scan; a frame with neither is unknown everywhere.
    """
    if frame.depth is not None:
        return torch.from_numpy(frame.depth.read())[None]
    if frame.lidar is not None:
        return lidar.depth_map(torch.from_numpy(frame.lidar.read()), clip.camera)
    return torch.zeros(1, clip.camera.height, clip.camera.width)


class DrawSampler(Sampler[list[int]]):
    """Batches of draws for training: an endless stream of shuffled passes over the data, cut into epochs.

    Where a batch stands in the stream follows from the epoch and its number alone, so that a resumed run goes on
    exactly, and each of several processes takes its share of every batch.

    Args:
        samples: in the data set.
        batch_size: samples a step, over all processes.
        epoch_steps: steps an epoch.
        seed: of the shuffling.
        rank: of this process.
        processes: how many there are; must divide `batch_size`.
        epoch: to begin with.
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
        self._order = -1, np.empty(0, dtype=np.int64)  # the latest pass over the data and its shuffling

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration yields."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        first = self.epoch * self.steps * self.batch_size
        for step in range(self.steps):
            start = first + step * self.batch_size + self.start
            yield [self._draw(position) for position in range(start, start + self.share)]

    def _draw(self, position: int) -> int:
        """The draw at a position of the stream."""
        repeat, place = divmod(position, self.samples)
        if self._order[0] != repeat:
            self._order = repeat, np.random.default_rng([self.seed, repeat]).permutation(self.samples)
        return repeat * self.samples + int(self._order[1][place])


class ShardSampler(Sampler[list[int]]):
    """Each sample once, one a batch, shared out over processes without repetition, for validation."""

    def __init__(self, samples: int, rank: int = 0, processes: int = 1) -> None:
        self.indices = range(rank, samples, processes)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[list[int]]:
        return ([index] for index in self.indices)
