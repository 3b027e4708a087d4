"""The Lightning module: networks, objective, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from packdepth.config import Run
from packdepth.evaluation.metrics import DepthMetrics
from packdepth.geometry.camera import Camera
from packdepth.geometry.resize import resize_inv_depth
from packdepth.networks.build import depth_network, pose_network
from packdepth.networks.ego_motion import views
from packdepth.networks.precision import without_autocast
from packdepth.objectives.objective import Objective
from packdepth.records import Batch, Outputs
from packdepth.training.cameras import LearnedCameras
from packdepth.training.initial import is_frozen, load_initial
from packdepth.training.optimizer import learning_rate_factor, optimizer_and_schedule


class DepthModule(pl.LightningModule):
    """Trains a depth network and, where there are context frames, a pose network on an objective.

    Of its state dict `depth.*` and `pose.*` are a checkpoint's weights; learned cameras stand in its description.

    Args:
        run: the run.
        steps: of the whole training, for the schedule of the learning rate.
        cameras: of the clips, where they are to be learned: of these, only the sizes are used.
        semantics: a checkpoint's copy of the network that guides depth; None for the one that the run names.
    """

    def __init__(self, run: Run, steps: int, cameras: Sequence[Camera] = (), semantics: Path | None = None) -> None:
        super().__init__()
        self.run, self.steps = run, steps
        torch.manual_seed(run.training.seed)
        self.depth = depth_network(run.networks.depth, semantics)
        self.pose = None if run.networks.pose is None else pose_network(run.networks.pose)
        self.networks: dict[str, nn.Module] = {"depth": self.depth}
        if self.pose is not None:
            self.networks["pose"] = self.pose
        load_initial(run, self.networks)
        guesses = [Camera.from_fov(run.camera.fov, camera.width, camera.height) for camera in cameras]
        self.cameras = LearnedCameras(guesses) if run.camera.learn else None
        self.objective = Objective.build(run.objective)
        self.metrics, self.scaled_metrics = DepthMetrics(), DepthMetrics(scaled=True)
        self.train()

    def train(self, mode: bool = True) -> DepthModule:
        """Training or evaluation mode; frozen networks stay in evaluation, statistics and all."""
        super().train(mode)
        for name, network in self.networks.items():
            if is_frozen(self.run, name):
                network.eval()
        return self

    def forward(self, batch: Batch) -> Outputs:
        """Inverse depths of the targets, ego-motion to their context frames, and what else the objective needs."""
        needed = self.objective.needed_outputs()
        inv_depths = self.depth(batch.network_image, shown(batch.image, batch.semantic))
        outputs = Outputs(inv_depths, batch.image.new_zeros(len(batch), 0, 4, 4))
        if "right_inv_depths" in needed:
            outputs.right_inv_depths = self.depth(batch.network_right, batch.right)
        if self.pose is None:
            return outputs
        target, context = batch.network_image, batch.network_context
        if self.pose.uses_depth or "context_inv_depths" in needed:
            with_gradient = self.pose.depth_gradient or "context_inv_depths" in needed
            with torch.set_grad_enabled(torch.is_grad_enabled() and with_gradient):
                labels_or_images = shown(batch.context, batch.context_semantic)
                inv_depth = self.depth(context.flatten(0, 1), labels_or_images.flatten(0, 1))[0]
            outputs.context_inv_depths = inv_depth.unflatten(0, context.shape[:2])
        if self.pose.uses_depth:
            assert outputs.context_inv_depths is not None
            target, context = views(target, outputs.inv_depths[0]), views(context, outputs.context_inv_depths)
        outputs.T_context_target = self.pose(target, context, batch.offsets)
        if "T_context_target_reversed" in needed:
            outputs.T_context_target_reversed = self.pose.reversed_motion(target, context, batch.offsets)
        return outputs

    def training_step(self, batch: Batch, index: int) -> dict[str, Tensor]:
        """The loss, and the terms it is made of."""
        loss, terms = self._loss(self(batch), self.calibrated(batch))
        return {"loss": loss, **{name: value.detach() for name, value in terms.items()}}

    def validation_step(self, batch: Batch, index: int) -> None:
        """Sum up the loss and the metrics of frames with measured depth."""
        outputs = self(batch)
        loss, _ = self._loss(outputs, self.calibrated(batch))
        self.log("val/loss", loss, batch_size=len(batch), sync_dist=True)
        if batch.truth is not None:
            inv_depth = resize_inv_depth(outputs.inv_depths[0], *batch.truth.shape[-2:])
            depth = 1 / inv_depth.clamp(min=1e-6)
            self.metrics.update(depth, batch.truth)
            self.scaled_metrics.update(depth, batch.truth)

    def calibrated(self, batch: Batch) -> Batch:
        """The batch with learned cameras, if they are learned."""
        if self.cameras is None:
            return batch
        assert batch.camera_index is not None
        assert batch.mirrored is not None
        return replace(batch, camera=self.cameras(batch.camera, batch.camera_index, batch.mirrored))

    def _loss(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective, in float32 whatever the precision of the networks."""
        with without_autocast(self.device):
            return self.objective(outputs, batch)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics over all processes, if any frame had measured depth."""
        for metrics, suffix in ((self.metrics, ""), (self.scaled_metrics, "_scaled")):
            values = {f"val/{name}{suffix}": value for name, value in metrics.compute().items()}
            if not any(value.isnan() for value in values.values()):
                self.log_dict(values, sync_dist=True)
            metrics.reset()

    def on_train_start(self) -> None:
        """Learning rates by this run's schedule: a resumed run may be longer than the one that saved them."""
        schedule, step = self.lr_schedulers(), self.trainer.global_step
        assert isinstance(schedule, LambdaLR)
        for group, rate in zip(schedule.optimizer.param_groups, schedule.base_lrs, strict=True):
            group["lr"] = rate * learning_rate_factor(self.run, step, self.steps)

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Set what changes and seed what is random inside the networks by the step: a resumed run repeats it."""
        if self.pose is not None:
            self.pose.progress = self.trainer.global_step / self.steps
        torch.manual_seed(hash((self.run.training.seed, self.trainer.global_step, self.trainer.global_rank)))

    def configure_optimizers(self) -> Any:
        """The optimizer of what is not frozen, and the schedule of the run."""
        trained = {name: network for name, network in self.networks.items() if not is_frozen(self.run, name)}
        optimizer, schedule = optimizer_and_schedule(self.run, trained, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def shown(image: Tensor, semantic: Tensor | None) -> Tensor:
    """What guides a depth network: label maps where there are any, or else the image, without color jitter.

    A segmentation network that is fixed sees the same in training as in prediction.
    """
    return image if semantic is None else semantic
