"""The Lightning module of training: networks, objective, metrics and optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from packdepth.blocks import blaming
from packdepth.config import Run, Training
from packdepth.errors import InputError
from packdepth.evaluation.metrics import DepthMetrics
from packdepth.geometry.camera import Camera
from packdepth.geometry.depth import depth_from_inverse
from packdepth.geometry.resize import resize_inv_depth
from packdepth.networks.ego_motion import PairPoseNetwork, views
from packdepth.networks.guidance import NetworkGuidance, guidance_of
from packdepth.networks.layers.formats import without_autocast
from packdepth.networks.uncertainty import Estimate
from packdepth.objectives.objective import Objective
from packdepth.optimization.groups import parameter_groups
from packdepth.records import Batch, Outputs
from packdepth.training.cameras import LearnedCameras
from packdepth.training.initial import guiding_checkpoint, is_frozen, load_initial
from packdepth.training.sharding import shard, share_buffers
from packdepth.training.teacher import TeacherNetwork, teacher_network

FINITE = "finite predictions"  # among the results of a training step; no kind of a term


class DepthModule(pl.LightningModule):
    """Lightning module that trains a depth network and, if there are context frames, a pose network.

    The entries `depth.*` and `pose.*` of the state dict are the weights of a checkpoint. Learned cameras are written to
    the description of the checkpoint. The state of terms, `terms.*`, is in the trainer's state only.

    Args:
        run: the run.
        objective: the objective of the run.
        steps: number of steps of the whole training, for the schedule of the learning rate.
        cameras: cameras that learning begins with, if cameras are learned; empty otherwise.
        semantics: folder of a checkpoint's copy of the segmentation network that guides depth; None for the network
            that the run names.
        resumes: whether the weights of an interrupted training will be restored, so that initial ones are not needed.

    Attributes:
        depth: the depth network.
        pose: the ego-motion network; None without context frames.
        terms: the modules of the terms with state, in the order of the objective.
        teacher: the network that teaches; None without one. It is no submodule: neither trained nor in the state dict.
        depth_views: the views of a batch whose depth is predicted: "target", and "context" or "right" if a term of the
            objective or the ego-motion network needs them.
    """

    def __init__(
        self,
        run: Run,
        objective: Objective,
        steps: int,
        cameras: Sequence[Camera] = (),
        semantics: Path | None = None,
        resumes: bool = False,
    ) -> None:
        super().__init__()
        self.run, self.steps = run, steps
        self.teacher: TeacherNetwork | None = teacher_network(run)
        torch.manual_seed(run.training.seed)
        self.depth = run.networks.depth.assemble(semantics or guiding_checkpoint(run))
        self.pose: PairPoseNetwork | None = None
        self.networks: dict[str, nn.Module] = {"depth": self.depth}
        if run.networks.pose is not None:
            self.pose = run.networks.pose.assemble()
        self.is_guided = guidance_of(self.depth) is not None
        self.by_labels = run.networks.depth.label_classes is not None
        if self.pose is not None:
            self.networks["pose"] = self.pose
        load_initial(run, self.networks, resumes)
        self.objective = objective.built()
        self.terms = nn.ModuleList(self.objective.modules.values())  # kinds may be no names of submodules
        self.cameras = LearnedCameras(cameras) if run.camera.learn else None
        needed, pose_needs_depth = objective.output_fields, self.pose is not None and self.pose.uses_depth
        if "sky" in needed:
            self.sky(torch.zeros(1, 3, *run.image_size))  # so that a network without the class is refused here
        needs = {
            "target": True,
            "context": "context_inv_depths" in needed or pose_needs_depth,
            "right": "right_inv_depths" in needed,
        }
        self.depth_views = frozenset(view for view, is_needed in needs.items() if is_needed)
        self.metrics, self.scaled_metrics = DepthMetrics(), DepthMetrics(scaled=True)
        self.train()

    def train(self, mode: bool = True) -> DepthModule:
        """Switch to training or evaluation mode. Frozen networks stay in evaluation mode: batch statistics are fixed.

        Args:
            mode: true for training mode.
        """
        super().train(mode)
        for name, network in self.networks.items():
            if is_frozen(self.run, name):
                network.eval()
        return self

    def forward(self, batch: Batch) -> Outputs:
        """Return inverse depths of the targets, ego-motion to the context frames, and other outputs that terms need.

        Args:
            batch: the batch.
        """
        needed = self.objective.output_fields
        inputs = batch.network_image, batch.image, batch.semantic
        no_motion = batch.image.new_zeros(len(batch), 0, 4, 4)
        if "log_scale" in needed:
            estimate = self.estimate(*inputs)
            outputs = Outputs(seen_through(batch, estimate.inv_depths), no_motion, log_scale=estimate.log_scale)
        else:
            outputs = Outputs(seen_through(batch, self.inv_depths(*inputs)), no_motion)
        if "mirrored_inv_depth" in needed:
            (outputs.mirrored_inv_depth,) = seen_through(batch, [self.mirrored_inv_depth(*inputs)])
        if "sky" in needed:
            outputs.sky = self.sky(batch.image)
        if "right" in self.depth_views:
            assert batch.network_right is not None
            assert batch.right is not None
            outputs.right_inv_depths = seen_through(batch, self.inv_depths(batch.network_right, batch.right))
        if self.pose is None:
            return outputs
        target, context = batch.network_image, batch.network_context
        if "context" in self.depth_views:
            with_gradient = self.pose.depth_gradient or "context_inv_depths" in needed
            labels = None if batch.context_semantic is None else batch.context_semantic.flatten(0, 1)
            with torch.set_grad_enabled(torch.is_grad_enabled() and with_gradient):
                inv_depth = self.inv_depths(context.flatten(0, 1), batch.context.flatten(0, 1), labels)[0]
            (outputs.context_inv_depths,) = seen_through(
                batch, [inv_depth.view(*context.shape[:2], *inv_depth.shape[1:])]
            )
        if self.pose.uses_depth:
            assert outputs.context_inv_depths is not None
            target, context = views(target, outputs.inv_depths[0]), views(context, outputs.context_inv_depths)
        elif batch.whole_image is not None:
            assert batch.whole_context is not None
            target, context = batch.whole_image, batch.whole_context
        outputs.T_context_target = self.pose(target, context, batch.offsets)
        if "T_context_target_reversed" in needed:
            outputs.T_context_target_reversed = self.pose.reversed_motion(target, context, batch.offsets)
        return outputs

    def inv_depths(self, network_image: Tensor, image: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """Return the inverse depths of images, finest first.

        Args:
            network_image: [B, 3, H, W] RGB in [0, 1], with color jitter; the input of the depth network.
            image: [B, 3, H, W] RGB in [0, 1], without color jitter. It is the input of a segmentation network that
                guides depth.
            labels: [B, 1, H, W] class ids, if the batch has label maps; used if they guide depth.
        """
        inv_depths: list[Tensor] = self.depth(network_image, *self._guide_inputs(image, labels))
        return self._of_images_with_content(inv_depths, network_image)

    def estimate(self, network_image: Tensor, image: Tensor, labels: Tensor | None = None) -> Estimate:
        """Return the inverse depths of images and the log-scale of their errors; the depth network must have it.

        Args:
            network_image: [B, 3, H, W] RGB in [0, 1], as in `inv_depths`.
            image: [B, 3, H, W] RGB in [0, 1], as in `inv_depths`.
            labels: [B, 1, H, W] class ids, as in `inv_depths`.
        """
        estimate: Estimate = self.depth(network_image, *self._guide_inputs(image, labels), with_log_scale=True)
        *inv_depths, log_scale = self._of_images_with_content([*estimate.inv_depths, estimate.log_scale], network_image)
        return Estimate(inv_depths, log_scale)

    def _of_images_with_content(self, maps: list[Tensor], network_image: Tensor) -> list[Tensor]:
        """Return maps [B, ...] unchanged, but in training without the gradient of samples whose image is all black.

        Such an image teaches nothing. Before the first step it makes every feature of PackNet constant, and the
        normalization of a constant group multiplies the gradient by 1 / sqrt(1e-5) = 316: over its 25 layers it
        overflows. After one step the biases make features differ at the borders, and it is finite.
        """
        if not (self.training and torch.is_grad_enabled()):
            return maps
        black = ~network_image.flatten(1).any(dim=1)
        return [torch.where(black.view(-1, *[1] * (each.ndim - 1)), each.detach(), each) for each in maps]

    def mirrored_inv_depth(self, network_image: Tensor, image: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the inverse depth of images, predicted from their mirror images and mirrored back, without gradient.

        The training goes on as without it: running statistics of the network, and random numbers drawn later, stay.

        Args:
            network_image: [B, 3, H, W] RGB in [0, 1], as in `inv_depths`.
            image: [B, 3, H, W] RGB in [0, 1], as in `inv_depths`.
            labels: [B, 1, H, W] class ids, as in `inv_depths`.
        """
        guide_inputs = self._guide_inputs(image, labels)
        mirrored = tuple(x.flip(-1) for x in (network_image, *guide_inputs))
        copies = {name: buffer.clone() for name, buffer in self.depth.named_buffers()}
        devices = [network_image.device] if network_image.is_cuda else []
        with torch.no_grad(), torch.random.fork_rng(devices):
            inv_depth: Tensor = functional_call(self.depth, copies, mirrored)[0]
        return inv_depth.flip(-1)

    def sky(self, image: Tensor) -> Tensor:
        """Return the pixels that the segmentation network that guides depth takes for sky, [B, 1, H, W] bool.

        Args:
            image: [B, 3, H, W] RGB in [0, 1], without color jitter.

        Raises InputError if the network has no such class.
        """
        guidance = guidance_of(self.depth)
        assert isinstance(guidance, NetworkGuidance)
        return guidance.sky(image)

    def _guide_inputs(self, image: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        """Return the input of the guidance, as arguments of the depth network; none without guidance."""
        return (labels if self.by_labels and labels is not None else image,) if self.is_guided else ()

    def training_step(self, batch: Batch, index: int) -> dict[str, Tensor]:
        """Return the loss, under the name "loss", and the unweighted terms, by their kind.

        Under the name `FINITE` is 1 if all predictions are finite, otherwise 0.

        Args:
            batch: the batch.
            index: number of the batch in the epoch; not used.
        """
        outputs = self(batch)
        loss, terms = self._loss(outputs, self.calibrated(batch), self.trainer.global_step / self.steps)
        predicted = [*outputs.inv_depths, outputs.T_context_target]
        finite = torch.stack([each.isfinite().all() for each in predicted]).all().to(loss.dtype)
        return {"loss": loss, FINITE: finite, **{name: value.detach() for name, value in terms.items()}}

    def validation_step(self, batch: Batch, index: int) -> None:
        """Accumulate the loss, and the metrics of frames with measured depth.

        Args:
            batch: the batch.
            index: number of the batch in the epoch; not used.
        """
        outputs = self(batch)
        loss, _ = self._loss(outputs, self.calibrated(batch))
        self.log("val/loss", loss, batch_size=len(batch), sync_dist=True)
        if batch.truth is not None:
            inv_depth = resize_inv_depth(outputs.inv_depths[0], *batch.truth.shape[-2:])
            depth = depth_from_inverse(inv_depth)
            self.metrics.update(depth, batch.truth)
            self.scaled_metrics.update(depth, batch.truth)

    def calibrated(self, batch: Batch) -> Batch:
        """Return the batch with the learned cameras, or the batch itself if cameras are not learned.

        Args:
            batch: the batch.
        """
        if self.cameras is None:
            return batch
        assert batch.camera_index is not None
        assert batch.mirrored is not None
        return replace(batch, camera=self.cameras(batch.camera, batch.camera_index, batch.mirrored))

    def taught(self, batch: Batch) -> Batch:
        """Return the batch with the inverse depth that the teacher network predicts; the batch itself without one.

        Args:
            batch: the batch.
        """
        return batch if self.teacher is None else replace(batch, teacher=self.teacher(batch))

    def _loss(self, outputs: Outputs, batch: Batch, progress: float = 1.0) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its terms. They are computed in float32, regardless of the networks' precision."""
        with without_autocast(self.device):
            return self.objective(outputs, self.taught(batch), progress)

    def on_validation_epoch_end(self) -> None:
        """Log the mean metrics of all processes, if there was a frame with measured depth."""
        for metrics, suffix in ((self.metrics, ""), (self.scaled_metrics, "_scaled")):
            values = {f"val/{name}{suffix}": value for name, value in metrics.compute().items()}
            if not any(value.isnan() for value in values.values()):
                self.log_dict(values, sync_dist=True)
            metrics.reset()

    def on_train_start(self) -> None:
        """Set the learning rates from this run's schedule: a resumed run may be longer than the run that saved them."""
        schedule = self.lr_schedulers()
        assert isinstance(schedule, LambdaLR)
        multiplier = multiplier_at(self.run.training, self.trainer.global_step, self.steps)
        for group, rate in zip(schedule.optimizer.param_groups, schedule.base_lrs, strict=True):
            group["lr"] = rate * multiplier

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Set the progress of the pose network, and seed random numbers by the number of the step for exact resuming.

        Args:
            batch: the batch; not used.
            index: number of the batch in the epoch; not used.
        """
        if self.pose is not None:
            self.pose.progress = self.trainer.global_step / self.steps
        torch.manual_seed(hash((self.run.training.seed, self.trainer.global_step, self.trainer.global_rank)))

    def configure_model(self) -> None:
        """Shard the networks that are not frozen, if the processes share their weights."""
        if self.is_sharded:
            assert self.device_mesh is not None
            for network in self.trained().values():
                shard(network, self.device_mesh["data_parallel"])

    @property
    def is_sharded(self) -> bool:
        """Whether the processes share the weights. One process alone has them all."""
        return self.run.training.strategy == "fsdp" and self.device_mesh is not None

    def on_validation_epoch_start(self) -> None:
        """Validate with the same buffers in all processes."""
        if self.is_sharded:
            share_buffers(self)

    def trained(self) -> dict[str, nn.Module]:
        """Return the networks that are not frozen, by name."""
        return {name: network for name, network in self.networks.items() if not is_frozen(self.run, name)}

    def optimizer_and_schedule(self) -> tuple[Optimizer, LambdaLR]:
        """Return the optimizer of the terms with state and the networks that are not frozen, and its schedule."""
        return optimizer_and_schedule(self.run.training, self.trained() | {"terms": self.terms}, self.steps)

    def configure_optimizers(self) -> Any:
        """Return the optimizer and the schedule of the learning rates, as Lightning takes them."""
        optimizer, schedule = self.optimizer_and_schedule()
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def seen_through(batch: Batch, inv_depths: Sequence[Tensor]) -> list[Tensor]:
    """Return inverse depths that the network predicted for the cameras of a batch, 1/metres.

    The network takes windows for images of the whole images' focal length (`data.transforms.zoomed`).

    Args:
        batch: the batch.
        inv_depths: what the network predicted, [B, ...] each.
    """
    if batch.focal_share is None:
        return list(inv_depths)
    return [each * batch.focal_share.view(-1, *[1] * (each.ndim - 1)) for each in inv_depths]


def optimizer_and_schedule(
    training: Training, networks: Mapping[str, nn.Module], steps: int
) -> tuple[Optimizer, LambdaLR]:
    """Return an optimizer with a learning rate for each network, and the schedule of the learning rates.

    Args:
        training: the block `training` of the run file.
        networks: the networks to train, by their names `depth` and `pose`, and the modules of the terms with state,
            `terms`, which have the learning rate of depth. The name of each parameter group of the optimizer begins
            with the name of its network.
        steps: number of steps of the whole training.

    Raises InputError, one sentence, if an optimizer or a schedule of another project does not keep its contract.

    >>> optimizer, _ = optimizer_and_schedule(Training(epochs=1), {"depth": nn.Conv2d(3, 1, 3)}, steps=10)
    >>> [group["name"] for group in optimizer.param_groups]
    ['depth']
    """
    depth = training.depth_learning_rate
    rates = {"depth": depth, "pose": training.pose_learning_rate, "terms": depth}
    fused = training.precision == "32"  # Lightning cannot clip gradients of a fused optimizer under autocast
    groups = [group for name, network in networks.items() for group in parameter_groups(name, network, rates[name])]
    what = f"training.optimizer: '{training.optimizer.kind}'"
    with blaming(what, type(training.optimizer)):
        optimizer: object = training.optimizer.build(groups, fused)
    if not isinstance(optimizer, Optimizer):
        raise InputError(f"{what}: build returns a {type(optimizer).__name__}; return a torch.optim.Optimizer")
    taken = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for group in groups:
        if left := sum(id(parameter) not in taken for parameter in group["params"]):
            raise InputError(
                f"{what}: build leaves out parameters of the group {group['name']} ({left} of "
                f"{len(group['params'])}), which would not train; give the optimizer all groups"
            )
    for made in optimizer.param_groups:
        for key in ("name", "lr"):
            if key not in made:
                raise InputError(
                    f"{what}: build makes a parameter group without '{key}', so that it is not known which learning "
                    f"rate of the run file it has; pass `groups` on as they are, or make groups with name, params and "
                    f"lr of them"
                )
    return optimizer, LambdaLR(optimizer, lambda step: multiplier_at(training, step, steps))


def multiplier_at(training: Training, step: int, steps: int) -> float:
    """Return the number that the learning rates are multiplied by.

    Args:
        training: the block `training` of the run file.
        step: number of finished steps.
        steps: number of steps of the whole training.

    Raises InputError, one sentence, if the schedule of another project fails or does not return a finite number. The
    number may be negative after the last step only, when it changes nothing any more.

    >>> multiplier_at(Training(epochs=1, schedule={"kind": "cosine"}), step=5, steps=10)
    0.5
    """
    schedule = training.schedule
    what = f"training.schedule: '{schedule.kind}'"
    with blaming(what, type(schedule)):
        multiplier: object = schedule.multiplier(step, steps, training.epochs)
    if not isinstance(multiplier, Real) or not math.isfinite(multiplier) or (multiplier < 0 and step < steps):
        raise InputError(
            f"{what}: multiplier returns {multiplier!r} after {step} of {steps} steps; return a finite number, at "
            f"least 0"
        )
    return float(multiplier)
