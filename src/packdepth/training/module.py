"""The Lightning module: networks, objective, optimiser."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from packdepth import checkpoint
from packdepth.config import Cosine, Run, Step
from packdepth.config import Muon as MuonConfig
from packdepth.errors import InputError
from packdepth.evaluation.metrics import DepthMetrics
from packdepth.geometry.resize import resize_inv_depth
from packdepth.networks.build import depth_network, pose_network
from packdepth.objectives.objective import Objective
from packdepth.records import Batch, Outputs
from packdepth.training.muon import Muon, is_matrix


class DepthModule(pl.LightningModule):
    """Trains a depth network and, where there are context frames, a pose network on an objective.

    Its state dict, `depth.*` and `pose.*`, is what a checkpoint holds.

    Args:
        run: the run.
        steps: of the whole training, for the schedule of the learning rate.
    """

    def __init__(self, run: Run, steps: int) -> None:
        super().__init__()
        self.run, self.steps = run, steps
        torch.manual_seed(run.training.seed)
        self.depth = depth_network(run.networks.depth)
        if run.training.depth_checkpoint is not None:
            start_from(self.depth, run, run.training.depth_checkpoint)
        self.pose = None if run.networks.pose is None else pose_network(run.networks.pose)
        self.objective = Objective.build(run.objective)
        self.metrics, self.scaled_metrics = DepthMetrics(), DepthMetrics(scaled=True)

        self.frozen = run.training.freeze_depth
        self.depth.requires_grad_(not self.frozen)

    def train(self, mode: bool = True) -> DepthModule:
        """Training or evaluation mode; a frozen depth network stays in evaluation, statistics and all."""
        super().train(mode)
        if self.frozen:
            self.depth.eval()
        return self

    def forward(self, batch: Batch) -> Outputs:
        """Inverse depths of the targets, of their right views if needed, and ego-motion to their context frames."""
        if self.pose is None:
            motion = batch.image.new_zeros(len(batch), 0, 4, 4)
        else:
            motion = self.pose(batch.network_image, batch.network_context, batch.offsets)
        return Outputs(
            inv_depths=self.depth(batch.network_image),
            T_context_target=motion,
            right_inv_depths=self.depth(batch.network_right) if self.objective.predicts_right else None,
        )

    def training_step(self, batch: Batch, index: int) -> dict[str, Tensor]:
        """The loss, and the terms it is made of."""
        loss, terms = self._loss(self(batch), batch)
        return {"loss": loss, **{name: value.detach() for name, value in terms.items()}}

    def validation_step(self, batch: Batch, index: int) -> None:
        """Sum up the loss and the metrics of frames with measured depth."""
        outputs = self(batch)
        loss, _ = self._loss(outputs, batch)
        self.log("val/loss", loss, batch_size=len(batch), sync_dist=True)
        if batch.truth is not None:
            inv_depth = resize_inv_depth(outputs.inv_depths[0], *batch.truth.shape[-2:])
            depth = 1 / inv_depth.clamp(min=1e-6)
            self.metrics.update(depth, batch.truth)
            self.scaled_metrics.update(depth, batch.truth)

    def _loss(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective, in float32 whatever the precision of the networks."""
        with torch.autocast(self.device.type, enabled=False):
            return self.objective(outputs, batch)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics over all processes, if any frame had measured depth."""
        for metrics, suffix in ((self.metrics, ""), (self.scaled_metrics, "_scaled")):
            values = {f"val/{name}{suffix}": value for name, value in metrics.compute().items()}
            if not any(value.isnan() for value in values.values()):
                self.log_dict(values, sync_dist=True)
            metrics.reset()

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Seed what is random inside the networks from the step, so that a resumed run repeats it."""
        torch.manual_seed(hash((self.run.training.seed, self.trainer.global_step, self.trainer.global_rank)))

    def configure_optimizers(self) -> Any:
        """The optimiser, with a learning rate for each network, and the schedule of the run."""
        training = self.run.training
        fused = training.precision == "32"  # Lightning clips no gradients of a fused optimiser under autocast
        muon = training.optimizer if isinstance(training.optimizer, MuonConfig) else None
        depth = [] if self.frozen else list(self.depth.parameters())
        others = [parameter for parameter in depth if muon is None or not is_matrix(parameter)]
        pose = [] if self.pose is None else list(self.pose.parameters())
        groups: list[dict[str, Any]] = [
            {"name": "depth", "params": others, "lr": training.depth_learning_rate},
            {"name": "pose", "params": pose, "lr": training.pose_learning_rate},
        ]
        if muon is not None:
            matrices = [parameter for parameter in depth if is_matrix(parameter)]
            groups.append({"name": "muon", "params": matrices, "lr": muon.learning_rate, "orthogonal": True})
        groups = [group for group in groups if group["params"]]
        optimizer = Adam(groups, fused=fused) if muon is None else Muon(groups, fused)
        scheduler = LambdaLR(optimizer, lambda step: learning_rate_factor(self.run, step, self.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def start_from(depth: nn.Module, run: Run, path: Path) -> None:
    """Load the depth network of a checkpoint. Raises InputError if it is another network or has another image size."""
    content = checkpoint.read(path)
    ours, theirs = run.networks.depth, content.run.networks.depth
    if ours != theirs:
        raise InputError(
            f"training.depth_checkpoint: {path} holds the depth network {theirs.model_dump()}, but networks.depth is "
            f"{ours.model_dump()}; give the same in the run file"
        )
    if run.image_size != content.run.image_size:
        raise InputError(
            f"training.depth_checkpoint: {path} was trained on images of {list(content.run.image_size)}, but "
            f"data.image_size is {list(run.image_size)}; give the same in the run file"
        )
    prefix = "depth."
    depth.load_state_dict(
        {name.removeprefix(prefix): value for name, value in content.weights.items() if name.startswith(prefix)}
    )


def learning_rate_factor(run: Run, step: int, steps: int) -> float:
    """What the learning rates are multiplied by at a step of a run of `steps` steps."""
    schedule = run.training.schedule
    if isinstance(schedule, Step):
        return schedule.factor ** (step * run.training.epochs // steps // schedule.epochs)
    if isinstance(schedule, Cosine):
        if step < schedule.warmup:
            return (step + 1) / schedule.warmup
        share = (step - schedule.warmup) / max(steps - schedule.warmup, 1)
        fallen = min(max((share - schedule.hold) / (1 - schedule.hold), 0), 1)
        return schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * fallen)) / 2
    return 1.0
