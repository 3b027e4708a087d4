"""One of several processes that sum a DepthMetrics: `sum_over_processes.py RANK WORLD FOLDER`; see test_metrics.py."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from packdepth.evaluation.metrics import DepthMetrics

rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
torch.set_num_threads(1)
dist.init_process_group("gloo", f"file://{folder / 'meeting'}", rank=rank, world_size=world)
images = torch.load(folder / "images.pt")
metrics = DepthMetrics()
for depth, truth in zip(images["depth"][rank::world], images["truth"][rank::world], strict=True):
    metrics.update(depth[None], truth[None])
torch.save(metrics.compute(), folder / f"{rank}.pt")
dist.destroy_process_group()
