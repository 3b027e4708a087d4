"""Learned cameras: what they begin as, and what mirroring does to them."""

from __future__ import annotations

import pytest
import torch

from packdepth.geometry.camera import Camera
from packdepth.training.cameras import LearnedCameras

WIDE, NARROW = Camera.from_fov(90, 80, 40), Camera.from_fov(60, 64, 48)
LIKE = Camera(torch.zeros(2), torch.zeros(2), torch.zeros(2), torch.zeros(2), width=40, height=20)


def test_they_begin_at_the_guess() -> None:
    camera = LearnedCameras([WIDE, NARROW])(LIKE, torch.tensor([1, 0]), torch.tensor([False, False]))
    assert (camera.width, camera.height) == (40, 20)
    for i, guess in enumerate([NARROW, WIDE]):
        expected = guess.resized(20, 40)
        for name in ("fx", "fy", "cx", "cy"):
            assert float(getattr(camera, name)[i]) == pytest.approx(getattr(expected, name), rel=1e-6), name
            assert getattr(camera, name).dtype == torch.float32


def test_changes_are_relative_and_a_mirrored_sample_has_the_mirrored_camera() -> None:
    cameras = LearnedCameras([WIDE, NARROW])
    cameras.change += torch.tensor([[0.1, -0.1, 0.05, 0.02], [0, 0, 0, 0]])
    changed = cameras.camera(0)
    assert changed.fx / WIDE.fx == pytest.approx(1.10517, rel=1e-4)
    assert changed.fy / WIDE.fy == pytest.approx(0.90484, rel=1e-4)
    assert (changed.cx, changed.cy) == (pytest.approx(39.5 + 0.05 * 80), pytest.approx(19.5 + 0.02 * 80))
    camera = cameras(LIKE, torch.tensor([0, 0]), torch.tensor([False, True]))
    expected = changed.resized(20, 40)
    mirrored = expected.flipped()
    assert [float(camera.cx[0]), float(camera.cx[1])] == pytest.approx([expected.cx, mirrored.cx])
    assert expected.cx != pytest.approx(mirrored.cx, abs=1)
    for name in ("fx", "fy", "cy"):
        assert getattr(camera, name).tolist() == pytest.approx([getattr(expected, name)] * 2)
