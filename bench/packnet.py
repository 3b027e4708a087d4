"""Time and memory of depth networks on this machine: the reference's form, and ours in each mode.

    python bench/packnet.py [--networks 1A small lite0 ...] [--threads N] [--repeats N] [--tests NAME ...]

The reference's form is unfused, eager, float32, contiguous. The tests are:

    latency     one image of 192x640
    large       one image of 384x1280
    throughput  eight images of 192x640
    training    a step with the whole loss at 192x640 and one sample: forward, backward, Adam. The reference's form uses
                its photometric loss, too. bfloat16 is by autocast, as with `training.precision: bf16`.
    steps       `latency` and `training` from the reference's form to ours, one change after another

Modes are timed in turn, so that a change of the machine's speed affects all of them; times are medians. Outputs are
compared with those of the reference: `error` is the largest difference of inverse depth divided by the largest inverse
depth; in training it is the relative difference of the loss. `peak` is the rate of computation, as a share of the rate
of a large matrix product in the same dtype. Memory of training is that of the tensors that the graph keeps for the
gradient and, on a GPU, the peak of the allocations.
"""

from __future__ import annotations

import argparse
import copy
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import loss as loss_bench
import torch
import torch.nn.functional as F
from memory import kept, peak
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from packdepth.networks.depth_resnet import DepthResNetBlock
from packdepth.networks.ego_motion import PairPoseNetwork
from packdepth.networks.encoder_decoder import EncoderDecoderBlock
from packdepth.networks.hub import IMAGENET
from packdepth.networks.layers.formats import use_channels_last
from packdepth.networks.layers.packing import Conv2D, PackLayerConv3d, ResidualConv, UnpackLayerConv3d
from packdepth.networks.packnet import PackNet
from packdepth.networks.posenet import PoseNet
from packdepth.networks.transformers_depth import TransformersDepthBlock
from packdepth.objectives.photometric import Photometric
from packdepth.objectives.smoothness import Smoothness
from packdepth.records import Outputs

DINOV2_SMALL: dict[str, object] = {
    "model_type": "dinov2",
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "patch_size": 14,
    "image_size": 518,
}
DEPTH_ANYTHING_SMALL: dict[str, object] = {
    "model_type": "depth_anything",
    "backbone_config": DINOV2_SMALL | {"out_indices": [3, 6, 9, 12], "reshape_hidden_states": False},
    "reassemble_hidden_size": 384,
    "neck_hidden_sizes": [48, 96, 192, 384],
    "fusion_hidden_size": 64,
}
CONVNEXT_TINY: dict[str, object] = {
    "model_type": "convnext",
    "depths": [3, 3, 9, 3],
    "hidden_sizes": [96, 192, 384, 768],
}


def recorded(config: dict[str, object]) -> dict[str, object]:
    """Return the fields of a block of a model of transformers, as a checkpoint holds them.

    Args:
        config: the configuration of the model, at the sizes of the published one.
    """
    mean, std = IMAGENET
    return {"kind": "transformers", "model": "none", "record": {"config": config, "mean": mean, "std": std}}


def foundation(config: dict[str, object]) -> nn.Module:
    """Return a depth network of transformers with random weights.

    Args:
        config: the configuration of the model.
    """
    return TransformersDepthBlock.model_validate(recorded(config) | {"output": "inverse"}).build()


def pretrained(encoder: dict[str, object]) -> nn.Module:
    """Return a depth network of an encoder that has pretrained weights, here random ones, and the default decoder.

    Args:
        encoder: the block of the encoder.
    """
    return EncoderDecoderBlock.model_validate({"encoder": encoder}).build()


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "1A": lambda: PackNet("1A"),
    "slim-1A": lambda: PackNet("slim-1A"),
    "small": lambda: PackNet("small"),
    "resnet18": lambda: DepthResNetBlock(layers=18).build(),
    "tiny": lambda: PackNet("tiny"),
    **{
        f"lite{variant}": partial(pretrained, {"kind": "efficientnet_lite", "variant": variant, "weights": None})
        for variant in (0, 1, 2)
    },
    **{f"resnet{n}-light": partial(pretrained, {"kind": "resnet", "layers": n}) for n in (18, 34, 50)},
    "convnext-tiny": partial(pretrained, recorded(CONVNEXT_TINY)),
    "dinov2-small": partial(pretrained, recorded(DINOV2_SMALL)),
    "depth-anything-small": partial(foundation, DEPTH_ANYTHING_SMALL),
}
TESTS = {"latency": (1, 192, 640), "large": (1, 384, 1280), "throughput": (8, 192, 640)}  # images, height, width

MAX_ERROR = 1e-4  # relative error of a mode in float32, from rounding


class ReferenceConv(nn.Module):
    """Convolution, group normalization and ELU as published: each keeps its result for the gradient.

    Args:
        block: our block, whose layers are used.
    """

    def __init__(self, block: Conv2D) -> None:
        super().__init__()
        self.conv_base, self.normalize = block.conv_base, block.normalize

    def forward(self, *maps: Tensor) -> Tensor:
        """Join feature maps, and apply convolution, normalization and activation.

        Args:
            maps: [B, C, H, W] each.
        """
        joined = torch.cat(maps, dim=1) if len(maps) > 1 else maps[0]
        return F.elu(self.normalize(self.conv_base(joined)))


class ReferenceResidual(nn.Module):
    """A residual convolution as published.

    Args:
        block: our block, whose layers are used.
    """

    def __init__(self, block: ResidualConv) -> None:
        super().__init__()
        self.conv1, self.conv2 = ReferenceConv(block.conv1), ReferenceConv(block.conv2)
        self.conv3, self.normalize = block.conv3, block.normalize

    def forward(self, x: Tensor) -> Tensor:
        """Apply two convolutions and a shortcut.

        Args:
            x: [B, C, H, W].
        """
        return F.elu(self.normalize(self.conv2(self.conv1(x)) + self.conv3(x)))


class ReferencePack(nn.Module):
    """A packing block as published: a 3D convolution, then a 2D convolution.

    Args:
        block: our block, whose layers are used.
    """

    def __init__(self, block: PackLayerConv3d) -> None:
        super().__init__()
        self.conv, self.conv3d = ReferenceConv(block.conv), block.conv3d

    def forward(self, x: Tensor) -> Tensor:
        """Pack features.

        Args:
            x: [B, C, H, W].
        """
        packed: Tensor = self.conv(self.conv3d(F.pixel_unshuffle(x, 2).unsqueeze(1)).flatten(1, 2))
        return packed


class ReferenceUnpack(nn.Module):
    """An unpacking block as published.

    Args:
        block: our block, whose layers are used.
    """

    def __init__(self, block: UnpackLayerConv3d) -> None:
        super().__init__()
        self.conv, self.conv3d = ReferenceConv(block.conv), block.conv3d

    def forward(self, x: Tensor) -> Tensor:
        """Unpack features.

        Args:
            x: [B, C, H, W].
        """
        return F.pixel_shuffle(self.conv3d(self.conv(x).unsqueeze(1)).flatten(1, 2), 2)


REFERENCE: dict[type[nn.Module], Callable[..., nn.Module]] = {
    PackLayerConv3d: ReferencePack,
    UnpackLayerConv3d: ReferenceUnpack,
    ResidualConv: ReferenceResidual,
    Conv2D: ReferenceConv,
}
Blocks = frozenset[type[nn.Module]]
ALL: Blocks = frozenset(REFERENCE)


def as_published(network: nn.Module, blocks: Blocks = ALL) -> nn.Module:
    """Return a copy of a network in which some of PackNet's blocks are computed in the reference's form.

    Args:
        network: the network.
        blocks: types of these blocks.
    """
    network = copy.deepcopy(network)
    for parent in list(network.modules()):
        for name, block in list(parent.named_children()):
            if type(block) in blocks and not isinstance(parent, PackLayerConv3d):
                setattr(parent, name, REFERENCE[type(block)](block))
    return network


@dataclass(frozen=True)
class Mode:
    """A form in which a network is computed."""

    name: str
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    published: Blocks = frozenset()  # blocks in the reference's form
    published_step: bool = False  # whether the loss and the optimizer have the reference's form, too
    compiled: bool = False

    @torch.inference_mode(False)  # tensors made in inference mode have no version counter, so results cannot be cached
    def prepared(self, network: nn.Module) -> Callable[[Tensor], list[Tensor]]:
        """Return a copy of the network in this mode, as a function of images.

        Args:
            network: the network.
        """
        network = as_published(network, self.published)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        network = network.to(self.dtype)
        if self.channels_last:
            use_channels_last(network)
        run = torch.compile(network, mode="max-autotune") if self.compiled else network
        return lambda images: run(images.to(self.dtype).to(memory_format=layout))


PUBLISHED = Mode("reference", published=ALL, published_step=True)
STEPS = [  # from the reference's form to ours, one change after another
    PUBLISHED,
    Mode("+ packing fused", published=ALL - {PackLayerConv3d}, published_step=True),
    Mode("+ unpacking in 2D", published=ALL - {PackLayerConv3d, UnpackLayerConv3d}, published_step=True),
    Mode("+ in place, unjoined", published_step=True),
    Mode("+ loss, fused Adam"),
    Mode("+ bfloat16", torch.bfloat16),
    Mode("+ channels last", torch.bfloat16, channels_last=True),
]


def modes(gpu: bool) -> list[Mode]:
    """Return the modes to compare; the first is the reference.

    Args:
        gpu: whether to return the modes for a GPU, too.
    """
    plain = [
        PUBLISHED,
        Mode("float32"),
        Mode("float32, channels last", channels_last=True),
        Mode("bfloat16", torch.bfloat16),
        Mode("bfloat16, channels last", torch.bfloat16, channels_last=True),
    ]
    if not gpu:
        return plain
    half = Mode("float16, channels last", torch.float16, channels_last=True)
    return [*plain, half, Mode("float16, compiled", torch.float16, channels_last=True, compiled=True)]


def seconds(function: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of one call, including the work of a GPU.

    Args:
        function: the function to call.
        device: device that the function uses.
    """
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def medians(functions: list[Callable[[], object]], repeats: int, device: torch.device) -> list[float]:
    """Return the median seconds of functions, which are called in turn. The first call of each does not count.

    Args:
        functions: the functions.
        repeats: number of calls that count.
        device: device that the functions use.
    """
    times: list[list[float]] = [[] for _ in functions]
    for repeat in range(repeats + 1):
        for function, counted in zip(functions, times, strict=True):
            taken = seconds(function, device)
            if repeat:
                counted.append(taken)
    return [statistics.median(counted) for counted in times]


def matmul_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Return the multiply-adds per second of a large matrix product.

    Args:
        dtype: dtype of the matrices.
        device: device of the matrices.
    """
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return size**3 / medians([lambda: a @ b], 5, device)[0]


def multiply_adds(network: nn.Module, images: Tensor) -> float:
    """Return the number of multiply-adds of a network as published.

    Args:
        network: the network.
        images: [B, 3, H, W].
    """
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        as_published(network)(images)
    return float(counter.get_total_flops()) / 2


def check_equal(ways: list[Mode], errors: list[float]) -> None:
    """Assert that the modes in float32 give the results of the reference.

    Args:
        ways: the modes.
        errors: the relative error of each.
    """
    assert all(error < MAX_ERROR for mode, error in zip(ways, errors, strict=True) if mode.dtype == torch.float32), (
        errors
    )


@torch.inference_mode()
def inference(
    network: nn.Module, ways: list[Mode], shape: tuple[int, int, int], repeats: int, device: torch.device
) -> None:
    """Print a table of modes in inference.

    Args:
        network: the network.
        ways: the modes; the first is the reference.
        shape: number, height and width of the images.
        repeats: number of repeats.
        device: device of the network.
    """
    batch, height, width = shape
    images = torch.rand(batch, 3, height, width, device=device)
    work = multiply_adds(network, images)
    runs = [mode.prepared(network) for mode in ways]
    outputs = [run(images)[0].float() for run in runs]
    errors = [((output - outputs[0]).abs().max() / outputs[0].max()).item() for output in outputs]
    check_equal(ways, errors)
    times = medians([lambda run=run: run(images) for run in runs], repeats, device)  # type: ignore[misc]
    rates = {dtype: matmul_rate(dtype, device) for dtype in {mode.dtype for mode in ways}}
    print(f"  {work / 1e9:.1f} G multiply-adds as published")
    print(f"  {'':26} {'ms':>9} {'images/s':>9} {'speed-up':>9} {'error':>8} {'peak':>6}")
    for mode, taken, error in zip(ways, times, errors, strict=True):
        share = work / taken / rates[mode.dtype]
        figures = f"{1e3 * taken:9.1f} {batch / taken:9.2f} {times[0] / taken:9.2f} {error:8.0e} {share:6.2f}"
        print(f"  {mode.name:26} {figures}", flush=True)


class Trainer:
    """Training of a depth and a pose network with Adam, on one batch. A mode of bfloat16 uses autocast.

    Args:
        depth: the depth network, which is copied.
        pose: the pose network, which is copied.
        mode: the mode.
        device: device of the networks.
        size: height and width of the images, in pixels.
        samples: number of samples of the batch.
    """

    def __init__(
        self,
        depth: nn.Module,
        pose: PairPoseNetwork,
        mode: Mode,
        device: torch.device,
        size: tuple[int, int] = (192, 640),
        samples: int = 1,
    ) -> None:
        self.mode, self.samples = mode, samples
        self.depth = as_published(depth, mode.published).train()
        self.pose = copy.deepcopy(pose).train()
        self.photometric = loss_bench.reference if mode.published_step else Photometric()
        self.smoothness = Smoothness()
        self.optimizer = torch.optim.Adam(
            [*self.depth.parameters(), *self.pose.parameters()], lr=1e-4, fused=not mode.published_step
        )
        _, self.batch = loss_bench.example(samples, *size, device)

    def loss(self) -> Tensor:
        """Compute the whole loss."""
        batch, bfloat16 = self.batch, self.mode.dtype == torch.bfloat16
        with torch.autocast(batch.image.device.type, torch.bfloat16, enabled=bfloat16):
            outputs = Outputs(self.depth(batch.image), self.pose(batch.image, batch.context, batch.offsets))
        return self.photometric(outputs, batch) + 1e-3 * self.smoothness(outputs, batch)

    def step(self) -> float:
        """Run forward, backward and optimizer, and return the loss."""
        self.optimizer.zero_grad()
        loss = self.loss()
        torch.autograd.backward(loss)
        self.optimizer.step()
        return loss.item()

    def kept(self) -> float:
        """Return the MiB that the graph keeps for the gradient, without the parameters."""
        return kept(self.loss, [*self.depth.parameters(), *self.pose.parameters()])


def training(network: nn.Module, ways: list[Mode], repeats: int, device: torch.device) -> None:
    """Print a table of modes in training.

    Args:
        network: the depth network.
        ways: the modes; the first is the reference.
        repeats: number of repeats.
        device: device of the network.
    """
    pose = PoseNet(initial_forward=0.5).to(device)
    trainers = [Trainer(network, pose, mode, device) for mode in ways]
    sizes = [trainer.kept() for trainer in trainers]
    losses = [trainer.step() for trainer in trainers]
    errors = [abs(loss - losses[0]) / losses[0] for loss in losses]
    check_equal(ways, errors)
    times = medians([trainer.step for trainer in trainers], repeats, device)
    gpu = device.type == "cuda"
    head = f"  {'':26} {'ms':>9} {'speed-up':>9} {'error':>8} {'kept [MiB]':>11} {'ratio':>6}"
    print(head + (f" {'peak [MiB]':>11}" if gpu else ""))
    for mode, trainer, taken, error, size in zip(ways, trainers, times, errors, sizes, strict=True):
        figures = f"{1e3 * taken:9.1f} {times[0] / taken:9.2f} {error:8.0e} {size:11.1f} {size / sizes[0]:6.2f}"
        print(f"  {mode.name:26} {figures}" + (f" {peak(trainer.step):11.1f}" if gpu else ""), flush=True)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--tests", nargs="+", choices=[*TESTS, "training", "steps"], default=[*TESTS, "training"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    machine = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {options.threads} threads"
    print(f"torch {torch.__version__}, {machine}")
    for name in options.networks:
        torch.manual_seed(0)
        network = NETWORKS[name]().to(device).eval()
        for test in options.tests:
            shape = TESTS.get(test)
            print(f"{name}, {test}" + (f", {shape[0]} x {shape[1]}x{shape[2]}" if shape else ", 1 x 192x640"))
            if test == "steps":
                inference(network, STEPS[:4] + STEPS[5:], TESTS["latency"], options.repeats, device)
                training(network, STEPS[:-1], options.repeats, device)
            elif shape:
                inference(network, modes(device.type == "cuda"), shape, options.repeats, device)
            else:
                ways = [PUBLISHED, Mode("float32"), Mode("bfloat16", torch.bfloat16)]
                training(network, ways, options.repeats, device)
            gc.collect()


if __name__ == "__main__":
    main()
