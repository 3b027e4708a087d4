"""The seven metrics and flip fusion give the reference's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from packdepth.evaluation.metrics import DepthMetrics
from packdepth.networks.flip import fuse_flipped


@pytest.fixture(scope="module")
def values(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "metrics.npz") as file:
        return dict(file)


def test_metrics_under_every_protocol(values: dict[str, np.ndarray]) -> None:
    """Depth is upsampled bilinearly with aligned corners there; the name of a protocol says the rest."""
    truth = torch.from_numpy(values["gt"])
    depth = F.interpolate(torch.from_numpy(values["pred"]), truth.shape[-2:], mode="bilinear", align_corners=True)
    names = [name for name in values if name.startswith("metrics_")]
    assert names
    for name in names:
        protocol = dict(part.split("=") for part in name.removeprefix("metrics_").split("_"))
        metrics = DepthMetrics(
            min_depth=float(protocol["min"]),
            cap=float(protocol["max"]),
            crop=protocol["crop"],  # type: ignore[arg-type]
            scaled=protocol["gtscale"] == "1",
        )
        metrics.update(depth, truth)
        found = [value.item() for value in metrics.compute().values()]
        np.testing.assert_allclose(found, values[name], rtol=2e-5, atol=1e-7, err_msg=name)


def test_flip_fusion(values: dict[str, np.ndarray]) -> None:
    inv_depth, of_mirrored = 1 / values["pred"], values["post_process_flipped_input"]
    fused = fuse_flipped(torch.from_numpy(inv_depth), torch.from_numpy(of_mirrored))
    np.testing.assert_allclose(fused, values["post_process"], rtol=1e-5, atol=1e-7)
