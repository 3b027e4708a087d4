"""Every term trains in several processes as in one: over shares of a batch, its value and its gradient are means.

DDP averages the gradients of the processes, each of which has an equal share of the batch.
"""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from batches import make_batch, make_outputs
from torch import Tensor

from packdepth.geometry import se3
from packdepth.objectives import Objective, Term
from packdepth.objectives.term import TERMS
from packdepth.records import Batch, Outputs

SIZE, HEIGHT, WIDTH = 4, 16, 24
OPTIONS: dict[str, dict[str, object]] = {"teacher": {"maps": "maps", "inverse": True}}


def whole_batch() -> Batch:
    """A batch with every field, whose samples differ."""
    batch, generator = make_batch(SIZE, HEIGHT, WIDTH, torch.float64), torch.Generator().manual_seed(2)

    def random(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    truth = 3 + 5 * random(SIZE, 1, HEIGHT, WIDTH)
    truth[random(SIZE, 1, HEIGHT, WIDTH) < torch.linspace(0.2, 0.9, SIZE).view(-1, 1, 1, 1)] = 0
    right = batch.context[:, 0].roll(1, dims=-1)
    return replace(
        batch,
        distance=0.2 + random(SIZE, 2),
        truth=truth,
        right=right,
        network_right=right,
        baseline=0.2 + random(SIZE),
        camera_height=1 + random(SIZE),
        semantic=(10 * random(SIZE, 1, HEIGHT, WIDTH)).to(torch.uint8),
        motion=se3.from_vector(0.1 * random(SIZE, 2, 6)),
        teacher=random(SIZE, 1, HEIGHT, WIDTH),
    )


def outputs_for(batch: Batch, factors: Tensor) -> Outputs:
    """Outputs with every field, which depend on weights that the processes share, as those of networks do."""
    plain, generator = make_outputs(batch), torch.Generator().manual_seed(3)
    vectors = 0.1 * torch.randn(SIZE, 2, 6, generator=generator, dtype=torch.float64)
    noise = torch.rand(SIZE, 2, 1, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)
    return Outputs(
        [factors[0] * each for each in plain.inv_depths],
        se3.from_vector(factors[1] * vectors),
        right_inv_depths=[factors[2] * each.flip(0) for each in plain.inv_depths],
        context_inv_depths=factors[3] * (0.2 + 0.1 * noise),
        log_scale=factors[4] * (noise[:, 0] - 1),
        mirrored_inv_depth=plain.inv_depths[0].roll(1, dims=-1),
        T_context_target_reversed=se3.from_vector(factors[5] * vectors.flip(0)),
        sky=noise[:, 1] > 0.8,
    )


def share(record: Batch | Outputs, part: slice) -> dict[str, object]:
    """The fields of a part of the samples."""

    def of(value: object) -> object:
        if isinstance(value, Tensor):
            return value[part]
        return [of(each) if isinstance(each, Tensor) else each for each in value] if isinstance(value, list) else value

    changes = {field.name: of(getattr(record, field.name)) for field in fields(record)}
    if isinstance(record, Batch):
        changes |= {"names": record.names[part], "camera": record.camera.map(lambda values: values[part])}
    return changes


@pytest.mark.parametrize("kind", sorted(TERMS.own()))
def test_a_term_of_a_batch_is_the_mean_over_its_shares(kind: str) -> None:
    term: Term = TERMS.find(kind).model_validate({"kind": kind, **OPTIONS.get(kind, {})})
    objective, batch = Objective([term]), whole_batch()
    factors = torch.ones(6, dtype=torch.float64, requires_grad=True)
    outputs = outputs_for(batch, factors)
    loss, _ = objective(outputs, batch)
    (expected,) = torch.autograd.grad(loss, factors, retain_graph=True)
    parts = []
    for part in (slice(0, 2), slice(2, 4)):
        value, _ = objective(Outputs(**share(outputs, part)), Batch(**share(batch, part)))  # type: ignore[arg-type]
        parts.append((value, *torch.autograd.grad(value, factors, retain_graph=True)))
    values, gradients = zip(*parts, strict=True)
    torch.testing.assert_close(torch.stack(values).mean(), loss)
    torch.testing.assert_close(torch.stack(gradients).mean(0), expected)
    assert loss != 0 or kind in ("camera_height", "sky")  # random depth is no road, and these classes are no sky
