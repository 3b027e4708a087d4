"""Samples become a batch, and a batch travels whole."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from packdepth.errors import InputError
from packdepth.geometry.camera import Camera
from packdepth.records import Batch, Sample


def sample(number: int, measured: bool = True) -> Sample:
    """A sample whose values all tell its number."""
    return Sample(
        names=[f"clip/{number:06d}"],
        offsets=(-1, 1),
        camera=Camera(fx=100.0 + number, fy=110.0 + number, cx=3.5, cy=1.5 + number, width=8, height=4),
        image=torch.full((3, 4, 8), number / 10),
        context=torch.full((2, 3, 4, 8), number / 20),
        network_image=torch.full((3, 4, 8), number / 30),
        network_context=torch.full((2, 3, 4, 8), number / 40),
        distance=torch.tensor([0.5, 0.6]) + number if measured else None,
        truth=torch.full((1, 4, 8), 5.0 + number) if measured else None,
    )


def tensors(batch: Sample) -> dict[str, Tensor]:
    """Every tensor of a batch, the camera's included, by name."""
    found = {field.name: getattr(batch, field.name) for field in fields(batch)}
    found |= {f"camera.{name}": getattr(batch.camera, name) for name in ("fx", "fy", "cx", "cy")}
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}


def test_stacking_gives_every_tensor_a_leading_dimension() -> None:
    samples = [sample(number) for number in range(3)]
    batch = Batch.stack(samples)
    assert len(batch) == 3
    assert batch.names == ["clip/000000", "clip/000001", "clip/000002"]
    assert batch.offsets == (-1, 1)
    for name, stacked in tensors(samples[0]).items():
        for index, one in enumerate(samples):
            assert torch.equal(tensors(batch)[name][index], tensors(one)[name]), name
        assert stacked.shape == tensors(batch)[name].shape[1:]


def test_stacking_stacks_cameras() -> None:
    camera = Batch.stack([sample(0), sample(2)]).camera
    assert isinstance(camera.fx, Tensor)
    assert (camera.width, camera.height) == (8, 4)
    torch.testing.assert_close(camera.matrix()[1], torch.tensor([[102.0, 0, 3.5], [0, 112.0, 3.5], [0, 0, 1]]))
    assert camera.unproject(torch.ones(2, 1, 4, 8)).dtype == torch.float32


def test_fields_that_samples_lack_stay_out() -> None:
    batch = Batch.stack([sample(0, measured=False), sample(1, measured=False)])
    assert batch.distance is None
    assert batch.truth is None


@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
def test_samples_with_different_fields_do_not_stack(first: bool) -> None:
    with pytest.raises(TypeError):
        Batch.stack([sample(0, measured=first), sample(1, measured=not first)])


def test_samples_of_different_sizes_do_not_stack() -> None:
    other = replace(sample(1), truth=torch.zeros(1, 5, 9))
    with pytest.raises(InputError, match=r"truth of clip/000000 is \[1, 4, 8\], but of clip/000001 \[1, 5, 9\]; make"):
        Batch.stack([sample(0), other])


def test_map_reaches_every_tensor_and_leaves_the_rest() -> None:
    batch = Batch.stack([sample(0), sample(1)])
    doubled = batch.map(lambda tensor: 2 * tensor)
    assert isinstance(doubled, Batch)
    assert tensors(doubled).keys() == tensors(batch).keys()
    assert {"image", "truth", "camera.fx", "camera.cy"} <= tensors(batch).keys()
    for name, tensor in tensors(batch).items():
        assert torch.equal(tensors(doubled)[name], 2 * tensor), name
    assert (doubled.names, doubled.offsets) == (batch.names, batch.offsets)
    assert torch.equal(batch.image[1], torch.full((3, 4, 8), 0.1))  # the first one is as it was


def test_to_moves_and_casts_every_tensor() -> None:
    batch = Batch.stack([sample(0), sample(1)])
    moved = batch.to("meta", dtype=torch.float64)
    assert {(tensor.device.type, tensor.dtype) for tensor in tensors(moved).values()} == {("meta", torch.float64)}
    assert moved.truth is not None
    assert moved.truth.shape == (2, 1, 4, 8)
