"""The Lightning module: networks, objective, optimiser."""

from __future__ import annotations

import math
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from packdepth.config import Cosine, Run, Step
from packdepth.config import Muon as MuonConfig
from packdepth.evaluation.metrics import DepthMetrics
from packdepth.geometry.resize import resize_inv_depth
from packdepth.networks.build import depth_network, pose_network
from packdepth.objectives.objective import Objective
from packdepth.records import Batch, Outputs
from packdepth.training.muon import Muon, is_matrix


class DepthModule(pl.LightningModule):
    """Trains a depth and a pose network on an objective.

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
        self.pose = pose_network(run.networks.pose)
        self.objective = Objective.build(run.objective)
        self.metrics, self.scaled_metrics = DepthMetrics(), DepthMetrics(scaled=True)

    def forward(self, batch: Batch) -> Outputs:
        """Inverse depths of the targets and ego-motion to their context frames."""
        return Outputs(
            inv_depths=self.depth(batch.network_image),
            T_context_target=self.pose(batch.network_image, batch.network_context, batch.offsets),
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
        groups: list[dict[str, Any]] = [
            {"params": list(self.depth.parameters()), "lr": training.depth_learning_rate},
            {"params": list(self.pose.parameters()), "lr": training.pose_learning_rate},
        ]
        if isinstance(training.optimizer, MuonConfig):
            matrices = [parameter for parameter in self.depth.parameters() if is_matrix(parameter)]
            groups[0]["params"] = [parameter for parameter in self.depth.parameters() if not is_matrix(parameter)]
            groups.append({"params": matrices, "lr": training.optimizer.learning_rate, "orthogonal": True})
            optimizer: Adam = Muon(groups, fused)
        else:
            optimizer = Adam(groups, fused=fused)
        scheduler = LambdaLR(optimizer, lambda step: learning_rate_factor(self.run, step, self.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


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
