"""Time of depth networks on a CPU in torch, ONNX Runtime and OpenVINO, from the files that `packdepth export` writes.

    python bench/runtime.py [--networks tiny resnet18 ...] [--tests latency ...] [--threads N] [--repeats N]
    python bench/runtime.py --start CHECKPOINT FILE IMAGE

Ways are timed in turn, so that a change of the machine's speed affects all of them; times are medians. `best` is the
time over that of torch's best way. `peak` is the rate of computation as a share of the rate of a large float32 matrix
product in torch. Weights are random, and 8-bit integers are calibrated on noise: their speed depends on neither. The
second form measures time and memory of `packdepth predict` for one image, from a checkpoint and from an exported file.

The figures of a shared machine mean little: run it alone.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from packnet import NETWORKS as TRAINED
from packnet import TESTS, matmul_rate, multiply_adds
from torch import nn

from packdepth.export.formats.onnx import onnx_model
from packdepth.export.graph import depth_graph
from packdepth.export.quantize import quantized
from packdepth.inference.runtimes.openvino import core
from packdepth.networks.layers.formats import use_channels_last
from packdepth.networks.superdepth import SuperDepthBlock

NETWORKS: dict[str, Callable[[], nn.Module]] = TRAINED | {"superdepth18": lambda: SuperDepthBlock(layers=18).build()}
CHOSEN = ("tiny", "small", "1A", "resnet18", "superdepth18", "lite0", "resnet18-light")
CALIBRATION = 2  # images of noise

Way = Callable[[np.ndarray], object]


def torch_ways(network: nn.Module) -> dict[str, Way]:
    """Return the ways of torch: float32, channels last, and bfloat16 with channels last.

    Args:
        network: the network, in evaluation mode.
    """
    last, narrow = copy.deepcopy(network), copy.deepcopy(network).to(torch.bfloat16)
    for each in (last, narrow):
        use_channels_last(each)

    def run(chosen: nn.Module, dtype: torch.dtype, image: np.ndarray) -> object:
        with torch.inference_mode():
            return chosen(torch.from_numpy(image).to(dtype))

    return {
        "torch": partial(run, network, torch.float32),
        "torch nhwc": partial(run, last, torch.float32),
        "torch bf16": partial(run, narrow, torch.bfloat16),
    }


def runtime_ways(network: nn.Module, size: tuple[int, int], batch: int, threads: int, folder: Path) -> dict[str, Way]:
    """Return the ways of ONNX Runtime and OpenVINO, in float32, bfloat16 and 8-bit integers.

    Args:
        network: the network, in evaluation mode.
        size: height and width of the images, in pixels.
        batch: number of images in a call.
        threads: number of threads.
        folder: a folder for the exported files.
    """
    import onnx
    import onnxruntime

    predictor: Any = SimpleNamespace(depth=network, label_classes=None, has_confidence=False)
    model = onnx_model(depth_graph(predictor, size, batch))
    rng = np.random.default_rng(0)
    samples = [{"image": rng.random((batch, 3, *size), dtype=np.float32)} for _ in range(CALIBRATION)]
    files = {"": folder / "float.onnx", " int8": folder / "int8.onnx"}
    onnx.save(model, files[""])
    onnx.save(quantized(model, samples), files[" int8"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    ways: dict[str, Way] = {}
    for name, file in files.items():
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        ways[f"onnxruntime{name}"] = lambda image, session=session: session.run(["depth"], {"image": image})  # type: ignore[misc]
    for name, kind, hint in (("", "", "f32"), (" bf16", "", "bf16"), (" int8", " int8", "f32")):
        config = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        compiled = core().compile_model(files[kind], "CPU", config)
        ways[f"openvino{name}"] = lambda image, compiled=compiled: compiled(image)  # type: ignore[misc]
    return ways


def measured(name: str, test: str, threads: int, repeats: int, peak: float) -> None:
    """Time a network in all ways, and print a table.

    Args:
        name: name of the network.
        test: name of the test.
        threads: number of threads.
        repeats: number of rounds.
        peak: multiply-adds a second of a large matrix product.
    """
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()
    batch, *size = TESTS[test]
    image = np.random.default_rng(0).random((batch, 3, *size), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        ways = torch_ways(network) | runtime_ways(network, (size[0], size[1]), batch, threads, Path(folder))
        times: dict[str, list[float]] = {way: [] for way in ways}
        for function in ways.values():
            function(image)
        for _ in range(repeats):
            for way, function in ways.items():
                start = time.perf_counter()
                function(image)
                times[way].append(time.perf_counter() - start)
    medians = {way: statistics.median(values) for way, values in times.items()}
    best = min(value for way, value in medians.items() if way.startswith("torch"))
    work = multiply_adds(network, torch.from_numpy(image))
    print(f"\n{name}, {test}: {batch} of {size[0]}x{size[1]}, {threads} threads")
    print(f"{'':<18}{'ms':>9}{'best':>7}{'peak':>7}")
    for way, value in medians.items():
        print(f"{way:<18}{value * 1e3:>9.1f}{value / best:>7.2f}{work / value / peak:>7.0%}")


def start_up(checkpoint: str, file: str, image: str) -> None:
    """Print time and memory of `packdepth predict` for one image, from a checkpoint and from an exported file.

    Args:
        checkpoint: the checkpoint.
        file: the exported file.
        image: the image.
    """
    for name in (checkpoint, file):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "packdepth.cli", "predict", name, image, "-o", f"{folder}/out"]
            start = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            usage = os.wait4(process.pid, 0)[2]
            print(f"{name}: {time.perf_counter() - start:.1f} s, {usage.ru_maxrss / 1024:.0f} MiB at most")


def main() -> None:
    """Run the measurements that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=CHOSEN, choices=NETWORKS)
    parser.add_argument("--tests", nargs="+", default=["latency", "large", "throughput"], choices=TESTS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--start", nargs=3, metavar=("CHECKPOINT", "FILE", "IMAGE"))
    arguments = parser.parse_args()
    if arguments.start:
        start_up(*arguments.start)
        return
    torch.set_num_threads(arguments.threads)
    peak = matmul_rate(torch.float32, torch.device("cpu"))
    for name in arguments.networks:
        for test in arguments.tests:
            measured(name, test, arguments.threads, arguments.repeats, peak)


if __name__ == "__main__":
    main()
