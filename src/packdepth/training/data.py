"""Training and validation batches of a run, divided among its processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from packdepth.classes import UNLABELED
from packdepth.config import Run
from packdepth.data.beams import beam_depth, other_depth
from packdepth.data.dataset import ClipDataset, DrawSampler, ShardSampler
from packdepth.data.teacher_maps import teacher_maps
from packdepth.geometry.camera import Camera
from packdepth.objectives.objective import Objective
from packdepth.objectives.teacher import teacher_of
from packdepth.records import Batch, Clip
from packdepth.workers import begin_loading

CALIBRATION_VIEWS = 48  # number of samples from which a learned camera is adjusted; chosen by eye


class Batches(Dataset[Batch]):
    """Data set of batches. An index is the list of the draws of a batch; `ClipDataset` defines draws.

    Args:
        samples: the data set of single samples.
    """

    def __init__(self, samples: ClipDataset) -> None:
        self.samples = samples

    def __getitem__(self, draws: list[int]) -> Batch:
        return Batch.stack([self.samples[draw] for draw in draws])


class RunData(pl.LightningDataModule):
    """Training and validation batches of a run.

    Args:
        run: the run.
        objective: the objective of the run.
        train: clips to train on.
        val: clips to validate on.
        cameras: the distinct cameras of the training clips, if cameras are learned; otherwise empty.
        epoch: number of the first epoch: 0 or, in a resumed run, the number of finished epochs.

    Raises InputError if a clip lacks what training needs, such as the teacher's map of a frame.
    """

    def __init__(
        self,
        run: Run,
        objective: Objective,
        train: Sequence[Clip],
        val: Sequence[Clip] = (),
        cameras: Sequence[Camera] = (),
        epoch: int = 0,
    ) -> None:
        super().__init__()
        data = run.data
        self.run, self.epoch = run, epoch
        teacher = teacher_of(objective.terms)
        maps = None
        if teacher is not None and teacher.maps is not None:
            maps = teacher_maps(teacher.maps, [*train, *val], teacher.inverse, teacher.metric)
        samples = partial(
            ClipDataset,
            image_size=data.image_size,
            offsets=data.context,
            seed=run.training.seed,
            cache=data.cache,
            cameras=cameras,
            label_classes=run.networks.depth.label_classes or UNLABELED,
            teacher=maps,
        )
        fields = objective.batch_fields - ({"teacher"} if maps is None else set())  # a network teaches in `DepthModule`
        if run.networks.depth.label_classes is not None:
            in_context = {"context_semantic"} if "context_inv_depths" in objective.output_fields else set()
            fields |= {"semantic"} | in_context
        kept = None if data.beams is None else partial(beam_depth, beams=data.beams)
        others = None if data.beams is None else partial(other_depth, beams=data.beams)
        self.train = samples(
            train, fields=fields, augmentation=data.augmentation, zoom=data.zoom, measure=kept, one_size=True
        )
        self.val = samples(val, fields=fields | {"truth"}, measure=others) if val else None
        if maps is not None:
            maps.check([*self.train.targets, *(self.val.targets if self.val else [])])

    def epoch_steps(self) -> int:
        """Return the number of steps of an epoch."""
        training = self.run.training
        return training.epoch_steps or -(-len(self.train) // training.batch_size)

    def views(self, camera: int, count: int = CALIBRATION_VIEWS) -> Iterator[Batch]:
        """Yield training samples of a learned camera, evenly spread, without augmentation, as batches of one.

        Args:
            camera: index of the camera.
            count: maximum number of samples.
        """
        samples = self.train.plain()
        own = [i for i, (clip, _) in enumerate(samples.targets) if samples.cameras[clip] == camera]
        for place in np.unique(np.linspace(0, len(own) - 1, min(count, len(own))).round().astype(int)):
            yield Batch.stack([samples[own[place]]])

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the loader of this process's share of every training batch."""
        training, trainer = self.run.training, self._trainer()
        sampler = DrawSampler(
            len(self.train),
            training.batch_size,
            self.epoch_steps(),
            training.seed,
            trainer.global_rank,
            trainer.world_size,
            self.epoch,
        )
        return self._loader(self.train, sampler)

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Return the loader of this process's validation frames, in batches of one, as clips may differ in size."""
        if self.val is None:
            return []
        trainer = self._trainer()
        return self._loader(self.val, ShardSampler(len(self.val), trainer.global_rank, trainer.world_size))

    def _loader(self, samples: ClipDataset, sampler: DrawSampler | ShardSampler) -> DataLoader[Batch]:
        workers = self.run.data.workers
        return DataLoader(
            Batches(samples),
            batch_size=None,  # the sampler yields whole batches
            sampler=sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=begin_loading,
            pin_memory=self.run.training.accelerator != "cpu" and torch.cuda.is_available(),
        )

    def _trainer(self) -> pl.Trainer:
        assert self.trainer is not None
        return self.trainer
