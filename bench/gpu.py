"""Everything of packdepth that needs a GPU, in one table of Markdown: run it as `bench/gpu.sh`.

    bench/gpu.sh [--device cuda|cpu] [--checks NAME ...] [--networks NAME ...] [--size 192x640] [--minutes N] ...

The checks are, in this order:

    parity      results of each network on the device against those on the CPU: largest difference of inverse depth over
                the largest inverse depth, in float32 (without TF32) and bfloat16
    resume      a training that is killed and resumed against one that is not, and against the same training once more,
                which tells what the device itself changes from one run to the next
    packing     the time of both forms of a packing block in training, and whether the rule picks the faster one
    onnx        ONNX Runtime on the device against torch, and its time, if it is installed
    inference   time of one image and of a batch, and peak memory, in float32, bfloat16 and compiled
    training    time of a step with the whole loss, and peak memory, likewise

A check that fails is a row of the table, and the others go on. So is what is left when the time is up. The table is
written after each row, so that it survives a machine that is taken away.
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import world
import yaml
from memory import peak
from packing import WIDE
from packnet import MAX_ERROR, Mode, Trainer, medians
from packnet import NETWORKS as TRAINED
from torch import Tensor, nn

from packdepth import checkpoint
from packdepth.files import replacing
from packdepth.networks.layers.formats import fastest_convolutions
from packdepth.networks.layers.fused import compose, packed
from packdepth.networks.layers.packing import PackLayerConv3d, channelwise_conv3d
from packdepth.networks.posenet import PoseNet
from packdepth.networks.superdepth import SuperDepthBlock

NETWORKS: dict[str, Callable[[], nn.Module]] = TRAINED | {"superdepth18": lambda: SuperDepthBlock(layers=18).build()}
COMPILED = ("tiny", "1A", "resnet18", "lite0")  # networks that are compiled, which takes up to a minute each
MODES = (
    Mode("float32"),
    Mode("bfloat16", torch.bfloat16, channels_last=True),
    Mode("bfloat16, compiled", torch.bfloat16, channels_last=True, compiled=True),
)
BFLOAT16_ERROR = 0.05  # largest relative difference of bfloat16, which has 8 bits
CLOSE = 0.9  # ratio of the times of two forms above which either is right


@dataclass(frozen=True)
class Settings:
    """The options of all checks."""

    device: torch.device
    networks: list[str]
    size: tuple[int, int]  # height and width of the images, in pixels
    batch: int  # number of images in a batch
    repeats: int  # number of calls of which the median time is taken
    compiles: bool  # whether networks are compiled, too
    blocks: int  # number of packing blocks that are timed


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    check: str
    subject: str  # such as the network
    way: str  # such as the precision
    result: str


Check = Callable[[Settings], Iterator[Row]]


def built(name: str) -> nn.Module:
    """Return a network with random weights, in evaluation mode.

    Args:
        name: its name.
    """
    torch.manual_seed(0)
    return NETWORKS[name]().eval()


def difference(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference over the largest expected value.

    Args:
        found: a map.
        expected: a map of the same shape.
    """
    return float((found.cpu().float() - expected).abs().max() / expected.abs().max())


def parity(settings: Settings) -> Iterator[Row]:
    """Yield the difference of each network between the device and the CPU.

    Args:
        settings: the settings.
    """
    image = torch.rand(1, 3, *settings.size)
    for name in settings.networks:
        network = built(name)
        with torch.inference_mode():
            expected = network(image)[0]
        network = network.to(settings.device)
        for mode, bound in zip(MODES[:2], (MAX_ERROR, BFLOAT16_ERROR), strict=True):
            with torch.inference_mode():
                error = difference(mode.prepared(copy.deepcopy(network))(image.to(settings.device))[0], expected)
            verdict = "as on the CPU" if error <= bound else "DIFFERS"
            yield Row("parity", name, mode.name, f"largest difference {error:.1e}: {verdict}")


def resume(settings: Settings) -> Iterator[Row]:
    """Yield how far a training that was killed and resumed is from one that was not.

    Args:
        settings: the settings.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = {"kind": "folder", "root": str(world.write(folder / "clip"))}
        run = {
            "data": {"train": [source], "val": [source], "image_size": [32, 64], "workers": 0},
            "networks": {"depth": {"kind": "packnet", "preset": "tiny", "dropout": 0.1}, "pose": {"kind": "posenet"}},
            "objective": [{"kind": "photometric"}, {"kind": "smoothness"}, {"kind": "velocity", "weight": 0.1}],
            "training": {
                "epochs": 3,
                "epoch_steps": 3,
                "batch_size": 2,
                "accelerator": "gpu" if settings.device.type == "cuda" else "cpu",
            },
        }
        (folder / "run.yaml").write_text(yaml.safe_dump(run))
        for name in ("whole", "again"):
            finish(train(folder, name))
        killed = train(folder, "killed")
        while killed.poll() is None and not (folder / "killed" / "last").exists():
            time.sleep(0.01)
        killed.kill()
        killed.communicate()
        epoch = checkpoint.read_description(folder / "killed" / "last")[1].epoch
        finish(train(folder, "killed", "--resume"))
        weights = {name: checkpoint.read(folder / name / "last").weights for name in ("whole", "again", "killed")}
    for name, words in (("killed", f"killed in epoch {epoch + 1} of 3, and resumed"), ("again", "the same once more")):
        pairs = [(weights[name][key], value) for key, value in weights["whole"].items()]
        largest = max(float((found.float() - value.float()).abs().max()) for found, value in pairs)
        words_of_it = "equal, bit by bit" if all(torch.equal(*pair) for pair in pairs) else "DIFFERS"
        yield Row("resume", words, "float32", f"weights: {words_of_it} (largest difference {largest:.1e})")


def train(folder: Path, name: str, *options: str) -> subprocess.Popen[str]:
    """Start `packdepth train` in a process of its own.

    Args:
        folder: the folder of run.yaml.
        name: name of the output in it.
        options: more options.
    """
    command = [sys.executable, "-m", "packdepth.cli", "train", str(folder / "run.yaml"), *options]
    environment = os.environ | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    return subprocess.Popen(
        [*command, "--output", str(folder / name)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a training, and raise RuntimeError with its last lines if it failed.

    Args:
        process: the training.
    """
    text, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"training ended with status {process.returncode}: {text[-300:]}")


def packing(settings: Settings) -> Iterator[Row]:
    """Yield the time of both forms of packing blocks, and the choice of the rule.

    Args:
        settings: the settings.
    """
    scale = 192 / settings.size[0]  # of the sizes in `WIDE`
    for features, channels, kernel, height in WIDE[: settings.blocks]:
        rows = max(int(height / scale), kernel)
        for images in (1, settings.batch):
            block = PackLayerConv3d(channels, kernel, features).train().to(settings.device)
            x = torch.randn(images, 4 * channels, rows, rows * 10 // 3, device=settings.device, requires_grad=True)

            def unfused(x: Tensor = x, block: PackLayerConv3d = block) -> None:
                torch.autograd.backward(block.conv(channelwise_conv3d(x, block.conv3d)).sum())

            def fused(x: Tensor = x, block: PackLayerConv3d = block) -> None:
                kernels = compose(block.conv3d, block.conv.conv_base)
                torch.autograd.backward(block.conv.activate(packed(x, kernels)).sum())

            plain, ours = medians([unfused, fused], settings.repeats, settings.device)
            picks = block.is_faster_fused(x)
            right = "right" if picks == (ours < plain) or min(ours, plain) > CLOSE * max(ours, plain) else "WRONG"
            yield Row(
                "packing",
                f"{features} features, {channels} channels, {kernel}x{kernel}, {rows} rows, {images} images",
                "training",
                f"unfused {1e3 * plain:.2f} ms, fused {1e3 * ours:.2f} ms; picks "
                f"{'fused' if picks else 'unfused'}: {right}",
            )


def onnx(settings: Settings) -> Iterator[Row]:
    """Yield the difference of ONNX Runtime from torch, and its time.

    Args:
        settings: the settings.
    """
    try:
        import onnxruntime

        from packdepth.export.formats.onnx import onnx_model
        from packdepth.export.graph import depth_graph
    except ImportError as missing:
        yield Row("onnx", "ONNX Runtime", "", f"not run: {missing}")
        return
    provider = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}[settings.device.type]
    if provider not in onnxruntime.get_available_providers():
        yield Row("onnx", "ONNX Runtime", "", f"not run: this build of ONNX Runtime has no {provider}")
        return
    image = torch.rand(1, 3, *settings.size)
    for name in [name for name in settings.networks if name in COMPILED]:
        network = built(name)
        predictor: Any = SimpleNamespace(depth=network, label_classes=None, has_confidence=False)
        for words, dtype, bound in (("float32", torch.float32, MAX_ERROR), ("float16", torch.float16, BFLOAT16_ERROR)):
            model = onnx_model(depth_graph(predictor, settings.size, 1, dtype)).SerializeToString()
            session = onnxruntime.InferenceSession(model, providers=[(provider, {})])
            inputs = {"image": image.numpy()}
            (found,) = session.run(["inv_depth"], inputs)
            with torch.inference_mode():
                error = difference(torch.from_numpy(found), network.float()(image)[0])
            (taken,) = medians([lambda: session.run(["inv_depth"], inputs)], settings.repeats, settings.device)  # noqa: B023
            verdict = "as torch" if error <= bound else "DIFFERS"
            result = f"largest difference {error:.1e}: {verdict}; {1e3 * taken:.2f} ms with copies of image and depth"
            yield Row("onnx", name, f"{words}, {session.get_providers()[0]}", result)


def inference(settings: Settings) -> Iterator[Row]:
    """Yield time and peak memory of each network in inference.

    Args:
        settings: the settings.
    """
    one, many = (torch.rand(count, 3, *settings.size, device=settings.device) for count in (1, settings.batch))
    for name, mode in chosen(settings):
        run = replace(mode, compiled=False).prepared(built(name).to(settings.device))
        run = torch.compile(run, dynamic=False) if mode.compiled else run
        with torch.inference_mode():
            single, whole = medians([lambda: run(one), lambda: run(many)], settings.repeats, settings.device)  # noqa: B023
            memory = peak_memory(lambda: run(many), settings.device)  # noqa: B023
        rate = f"{1e3 * single:.2f} ms an image, {settings.batch / whole:.0f} images/s in batches of {settings.batch}"
        yield Row("inference", name, mode.name, f"{rate}{memory}")


def training(settings: Settings) -> Iterator[Row]:
    """Yield time and peak memory of a training step of each network.

    Args:
        settings: the settings.
    """
    pose = PoseNet(initial_forward=0.5).to(settings.device)
    for name, mode in chosen(settings):
        trainer = Trainer(
            built(name).to(settings.device), pose, mode, settings.device, settings.size, min(settings.batch, 4)
        )
        if mode.compiled:
            trainer.depth.compile()
        (taken,) = medians([trainer.step], settings.repeats, settings.device)
        memory = peak_memory(trainer.step, settings.device)
        yield Row("training", name, mode.name, f"{1e3 * taken:.1f} ms a step of {trainer.samples} samples{memory}")


def chosen(settings: Settings) -> Iterator[tuple[str, Mode]]:
    """Yield each network in each mode, the compiled ones last.

    Args:
        settings: the settings.
    """
    for name in settings.networks:
        yield from ((name, mode) for mode in MODES if not mode.compiled)
    if settings.compiles:
        yield from ((name, MODES[-1]) for name in settings.networks if name in COMPILED)


def peak_memory(function: Callable[[], object], device: torch.device) -> str:
    """Return the peak of the memory that a function allocates on a GPU, in words; nothing on a CPU.

    Args:
        function: the function.
        device: the device.
    """
    return f", peak {peak(function):.0f} MiB" if device.type == "cuda" else ""


CHECKS: dict[str, Check] = {
    "parity": parity,
    "resume": resume,
    "packing": packing,
    "onnx": onnx,
    "inference": inference,
    "training": training,
}


def rows(settings: Settings, names: list[str], seconds: float) -> Iterator[Row]:
    """Yield the rows of checks, until the time is up; a check that fails or is left out gives a row that says so.

    Args:
        settings: the settings.
        names: names of the checks.
        seconds: the time for all of them.
    """
    end = time.monotonic() + seconds
    for name in names:
        try:
            if time.monotonic() > end:
                yield Row(name, "all", "", "not run: the time was up")
                continue
            for row in CHECKS[name](settings):
                yield row
                if time.monotonic() > end:
                    yield Row(name, "what follows", "", "not run: the time was up")
                    break
        except Exception as error:  # whatever a GPU raises must not take the other checks with it
            yield Row(name, "", "", f"FAILED: {type(error).__name__}: {' '.join(str(error).split())[:200]}")


def table(head: str, found: list[Row]) -> str:
    """Return the table as Markdown.

    Args:
        head: a line above it.
        found: the rows.
    """
    lines = [f"| {row.check} | {row.subject} | {row.way} | {row.result.replace('|', '/')} |" for row in found]
    return "\n".join([head, "", "| check | of | in | result |", "|---|---|---|---|", *lines, ""])


def main() -> None:
    """Run the checks that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--checks", nargs="+", choices=CHECKS, default=list(CHECKS))
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--size", default="192x640", metavar="HxW")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=7.0, help="time after which no further row begins")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--blocks", type=int, default=len(WIDE), help="number of packing blocks that are timed")
    parser.add_argument("--output", type=Path, default=Path("gpu.md"))
    options = parser.parse_args()
    device = torch.device(options.device)
    height, width = map(int, options.size.split("x"))
    settings = Settings(
        device,
        options.networks,
        (height, width),
        options.batch,
        options.repeats,
        not options.no_compile,
        options.blocks,
    )
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    head = f"torch {torch.__version__}, {name}, {options.size}, batches of {options.batch}"
    print(head, flush=True)
    found: list[Row] = []
    with fastest_convolutions():  # as training and prediction do
        for row in rows(settings, options.checks, 60 * options.minutes):
            found.append(row)
            print(f"{row.check:10} {row.subject:32} {row.way:22} {row.result}", flush=True)
            with replacing(options.output) as temporary:
                temporary.write_text(table(head, found))


if __name__ == "__main__":
    main()
