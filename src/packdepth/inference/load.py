"""Loading of whatever predicts depth: a checkpoint, or a network that `packdepth export` wrote."""

from __future__ import annotations

from pathlib import Path

from packdepth.config import Precision
from packdepth.errors import InputError
from packdepth.inference.base import BasePredictor
from packdepth.inference.exported import is_exported, load_exported
from packdepth.sharing.address import located


def load(
    checkpoint: str | Path, device: str = "auto", precision: Precision = "32", runtime: str | None = None
) -> BasePredictor:
    """Load the networks of a checkpoint, or of a file that `packdepth export` wrote, ready to predict.

    Torch is imported for checkpoints only.

    Args:
        checkpoint: the folder that training wrote, another project's checkpoint (see `inference.predictor.load`), an
            exported file, or the address of one of these, such as "hf://user/name" (see `sharing.address`).
        device: a device as torch names it; "auto" is a GPU if there is one. Exported files run on the CPU.
        precision: precision of the depth network: "32" (float32) or "bf16" (bfloat16).
        runtime: what computes an exported file: "onnxruntime" or "openvino". If left out, the first of these that takes
            the file and is installed.

    Raises InputError if the file cannot be read, or if device, precision or runtime do not suit it.
    """
    path = located(checkpoint)
    if is_exported(path):
        if device not in ("auto", "cpu"):
            raise InputError(f"{path}: is an exported network, which runs on the CPU; leave the device out")
        return load_exported(path, runtime, precision)
    if runtime is not None:
        raise InputError(
            f"{path}: is no exported network, which --runtime {runtime} needs; packdepth export writes one"
        )
    from packdepth.inference import predictor

    return predictor.load(path, device, precision)
