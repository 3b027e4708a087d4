"""Depth networks of transformers that were never trained here: predicted with, and converted to checkpoints."""

from __future__ import annotations

from pathlib import Path

import foundation
import numpy as np
import pytest
import torch

import packdepth
from packdepth.cli import main
from packdepth.errors import InputError
from packdepth.inference.info import describe

pytest.importorskip("transformers", reason="the extra `transformers` is not installed")


def test_a_metric_model_predicts_its_metres_and_is_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = foundation.save(foundation.glpn(), tmp_path / "glpn"), tmp_path / "own"
    assert main(["convert", str(folder), str(output), "--image-size", "64", "96"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"depth network  transformers {folder}, output metric, 23,877 parameters",
        "pose network   none: no ego-motion",
        "image size     64 x 96 (height x width)",
        "trained by     transformers",
        "depth          up to a factor: nothing gives it a scale",
        "notes          depth in the metres of the model's own training data, which were not measured here",
        describe(output).splitlines()[-1],
    ]
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        metres = foundation.model(foundation.glpn())(pixel_values=(image - 0.5) / 0.25).predicted_depth[0].numpy()
    pixels = image[0].permute(1, 2, 0).numpy()
    prediction = packdepth.load(output, "cpu").predict(pixels)
    np.testing.assert_allclose(prediction.depth, metres + 0.05, rtol=1e-4)
    assert not prediction.metric


def test_a_folder_of_a_model_predicts_as_it_is(tmp_path: Path) -> None:
    folder = foundation.save(foundation.dpt(), tmp_path / "dpt")
    with pytest.warns(UserWarning, match="the image size of 192 x 640 is assumed"):
        predictor = packdepth.load(folder, "cpu")
    assert predictor.predict(np.zeros((40, 60, 3), dtype=np.uint8)).depth.shape == (40, 60)
    with pytest.warns(UserWarning, match="the image size"):
        assert "inverse depth up to a scale and a shift that training has to find" in describe(folder)


def test_a_folder_of_another_model_is_refused(tmp_path: Path) -> None:
    foundation.dinov2().save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"is no depth network \(dinov2\)"):
        packdepth.load(tmp_path, "cpu")
