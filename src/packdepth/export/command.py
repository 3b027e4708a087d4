"""Export of a checkpoint to one file, with a check of what was written: `packdepth export`."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from packdepth import __version__
from packdepth.blocks import nearest
from packdepth.checkpoint import OtherSize
from packdepth.config import Imported, dump_run
from packdepth.disk import put_together, rights, size_in_words, temporaries_in, unfinished_folder
from packdepth.errors import InputError
from packdepth.export.formats import Format, all_formats
from packdepth.export.graph import Graph, class_names, depth_graph, pose_graph
from packdepth.export.parity import (
    CALIBRATION,
    COMPARED,
    check_parity,
    chosen_frames,
    compared,
    compared_sizes,
    inputs_of,
    known_clips,
)
from packdepth.files import make_folder, replacing, say_replaced
from packdepth.inference.exported import (
    MOTION,
    ExportedPredictor,
    ExportPrecision,
    ExportRecord,
    Parity,
    load_exported,
    pose_beside,
    pose_path,
)
from packdepth.inference.predictor import Predictor, load
from packdepth.networks.blocks import NetworkBlock
from packdepth.progress import announced
from packdepth.records import Clip

MIN_SIDE, MAX_SIDE = 32, 4096  # pixels of the input: the coarsest stride of the networks, and a bound on memory
MOTION_TOLERANCE = 1e-4  # largest difference of an exported motion matrix: metres, and of rotations; float32 gives 1e-6
EXAMPLES = ("predict.py", "predict.cpp")  # programs that are written beside a model of ONNX, as STEM-predict.py
PURPOSES = (  # of these programs, for the report
    "an example that predicts without torch and packdepth, in Python with numpy, Pillow and onnxruntime",
    "an example that predicts without Python, in C++ with OpenVINO's library",
)

WEIGHTS = ".bin"  # suffix of OpenVINO's files of weights

Input = Literal["float", "uint8"]


@dataclass(frozen=True)
class Exported:
    """A network that was written."""

    path: Path  # the file
    size: tuple[int, int]  # height and width at which the network computes, in pixels
    precision: ExportPrecision  # precision of the depth network
    parity: Parity  # difference of the depth network from the checkpoint at the same size
    bytes: int  # size of the depth network on disk
    pose: Path | None  # the file of the ego-motion network, if it was asked for
    weights: tuple[Path, ...] = ()  # files of weights, which must stay beside the files of OpenVINO
    examples: tuple[Path, ...] = ()  # programs that use the file without packdepth and torch, see `write_examples`
    other_size: OtherSize | None = None  # difference that the size makes to depth; None at the size of the training
    loses_metres: bool = False  # whether depth is metric at the size of the training, but not at this one

    def __str__(self) -> str:
        size = size_in_words(self.bytes)
        lines = [f"{self.path}: {self.size[0]}x{self.size[1]}, precision {self.precision}, {size}; {self.parity}"]
        if self.other_size is not None:
            lost = "; it is not metric there: leave out --size to keep metres" if self.loses_metres else ""
            lines.append(f"{self.path}: {self.other_size}{lost}")
        lines += [] if self.pose is None else [f"{self.pose}: the ego-motion network"]
        lines += [f"{file}: weights, which must stay beside {file.stem}{self.path.suffix}" for file in self.weights]
        lines += [f"{file}: {purpose}" for file, purpose in zip(self.examples, PURPOSES, strict=False)]
        return "\n".join(lines)


@dataclass(frozen=True)
class Options:
    """The options that all networks of an export have in common."""

    kind: type[Format]  # the format
    batch: int | None  # number of images in a call; None for any
    precision: ExportPrecision  # precision of the depth network
    input: Input  # values of the images
    given: tuple[int, int] | None  # height and width of the images, which the file resizes; None for the network's
    opset: int | None  # version of ONNX's operators; None for that of the format


def export(
    checkpoint: Path,
    output: Path,
    format: str | None = None,
    sizes: Sequence[str] = (),
    batch: str = "1",
    precision: ExportPrecision = "32",
    calibrate: Path | None = None,
    pose: bool = False,
    images: Path | None = None,
    input: Input = "float",
    input_size: str | None = None,
    opset: int | None = None,
) -> list[Exported]:
    """Write the depth network of a checkpoint as a file that other programs compute, and compare both on real images.

    The file takes `image` [B, 3, H, W], RGB, and returns `depth` and `inv_depth` [B, 1, H, W]; `ExportRecord` is what
    it says about itself. A file that differs from the checkpoint by more than its precision explains is not kept.

    Args:
        checkpoint: the folder that training wrote, or another project's checkpoint.
        output: the file to write. Of several sizes, each gets a file with the size in its name.
        format: the format; if left out, the one that the suffix of `output` names.
        sizes: sizes at which the network computes, each as HxW in pixels; if left out, the size of the training.
        batch: number of images in a call, or "dynamic".
        precision: "32" (float32), "16" (float16), "bf16" (bfloat16) or "int8".
        calibrate: images for int8, as `packdepth.open` takes them.
        pose: write the ego-motion network, too, as STEM-pose.
        images: images for the comparison; if left out, those of `calibrate`, or else those of the training.
        input: values of the images: floats in [0, 1], or uint8.
        input_size: size of the images as HxW; the file resizes them to the size of the network, and maps back. If left
            out, images have the size of the network.
        opset: version of ONNX's operators; if left out, the newest that is needed, see `Format.opsets`.

    Returns:
        What was written.

    Raises InputError for anything that cannot be exported; a file that is there already then stays as it is.
    """
    kind, given = _format(output, format), None if input_size is None else _size(input_size, "--input-size")
    options = Options(kind, _batch(batch), precision, input, given, _opset(kind, opset))
    kind.check(precision)
    if precision == "int8" and calibrate is None:
        raise InputError("--precision int8 needs images for the ranges of its values: name a folder with --calibrate")
    if precision != "int8" and calibrate is not None:
        raise InputError(f"--calibrate {calibrate}: is for --precision int8; leave it out, or give --images")
    if pose and given is not None:
        raise InputError("--input-size: the ego-motion network takes images of its own size; leave --pose out")
    chosen = [_size(text, "--size") for text in sizes]
    predictor = load(checkpoint, "cpu")
    if given is not None and predictor.label_classes is not None:
        raise InputError("--input-size: label maps guide the network, and are not resized in the file; leave it out")
    if pose and predictor.pose is None:
        raise InputError(f"{checkpoint}: holds no ego-motion network; leave --pose out")
    clips = known_clips(predictor.run, images or calibrate)
    ranges = None if calibrate is None else known_clips(predictor.run, calibrate)
    make_folder(output.parent)
    written = []
    for size in chosen or [predictor.image_size]:
        path = output if len(chosen) < 2 else output.with_stem(f"{output.stem}-{size[0]}x{size[1]}")
        with announced(f"writing {path}, and comparing it with {checkpoint} on images"):
            written.append(_write(predictor, path, size, options, clips, ranges, pose))
    if kind.suffix == ".onnx":
        written[0] = replace(written[0], examples=write_examples(written[0].path))
    return written


def _write(
    predictor: Predictor,
    path: Path,
    size: tuple[int, int],
    options: Options,
    clips: Sequence[Clip],
    ranges: Sequence[Clip] | None,
    pose: bool,
) -> Exported:
    """Write the networks for one size into a temporary folder, compare them there, and move them to their place."""
    frames = chosen_frames(clips, COMPARED)
    other = None if size == predictor.image_size else compared_sizes(predictor, frames, size)
    record = describe(predictor, size, options, other)
    dtype = torch.float16 if options.precision == "16" else torch.float32
    graph = depth_graph(predictor, size, options.batch, dtype, options.input, options.given)
    samples = None
    if ranges is not None:
        samples = list(inputs_of(predictor, chosen_frames(ranges, CALIBRATION, phase=0.0), graph))
    with unfinished_folder(path) as folder, unfinished_folder(path) as scratch, temporaries_in(scratch):
        temporary = folder / path.name
        options.kind.write(temporary, graph, record.model_dump_json(), samples, options.opset)
        count = sum(file.stat().st_size for file in folder.iterdir())
        exported = load_exported(temporary)
        parity = compared(predictor, exported, frames, graph)
        check_parity(parity, options.precision, path)
        if pose:
            assert predictor.pose is not None
            motion = pose_graph(predictor.pose, size, options.batch)
            motion_record = describe_pose(predictor, record)
            options.kind.write(pose_path(temporary), motion, motion_record.model_dump_json(), None, options.opset)
            _check_motion(load_exported(temporary), motion, pose_path(path))
        files = {file: path.parent / file.name for file in sorted(folder.iterdir())}
        say_replaced(files.values())
        if not pose and pose_beside(path) is not None:  # that of an older export must not stay beside the new network
            pose_path(path).unlink()
            print(f"removed: {pose_path(path)}, the ego-motion network of an earlier export", file=sys.stderr)
        for file in files:
            file.chmod(rights())
        put_together(files)  # an .xml must not meet the weights of an older one
    weights = tuple(place for place in files.values() if place.suffix == WEIGHTS)
    return Exported(
        path,
        size,
        options.precision,
        parity,
        count,
        pose_path(path) if pose else None,
        weights,
        other_size=other,
        loses_metres=predictor.meta.metric and not record.metric,
    )


def describe(
    predictor: Predictor, size: tuple[int, int], options: Options, other: OtherSize | None = None
) -> ExportRecord:
    """Return the description of an exported depth network.

    Args:
        predictor: the checkpoint.
        size: height and width at which the network computes, in pixels.
        options: the options of the export.
        other: the difference that this size makes to depth; None if it is that of the training.
    """
    meta = predictor.meta if other is None else predictor.meta.at_size(other)
    block, run = predictor.run.networks.depth, predictor.run
    origin = f"; {run.imported_from} trained them" if isinstance(run, Imported) else ""
    return ExportRecord(
        part="depth",
        packdepth=__version__,
        network=block.describe(),
        run_hash=run_hash(predictor),
        image_size=options.given or size,
        network_size=size,
        batch=options.batch,
        input=options.input,
        precision=options.precision,
        metric=meta.metric,
        scale=meta.scale,
        label_classes=predictor.label_classes,
        classes=class_names(predictor.depth),
        confidence=predictor.has_confidence,
        license="packdepth is under Apache 2.0; to the weights apply the terms of the data that they were trained on, "
        f"and of pretrained weights if training began with some{origin}",
        meta=meta,
    )


def describe_pose(predictor: Predictor, depth: ExportRecord) -> ExportRecord:
    """Return the description of an exported ego-motion network.

    Args:
        predictor: the checkpoint, with an ego-motion network.
        depth: the description of the depth network that is exported with it.
    """
    pose, block = predictor.pose, predictor.run.networks.pose
    assert pose is not None
    assert block is not None
    return depth.model_copy(
        update={
            "part": "pose",
            "network": block.describe() if isinstance(block, NetworkBlock) else block.kind,
            "input": "float",
            "precision": "32",
            "offsets": pose.context_offsets,
            "frame_step": predictor.frame_step,
            "uses_depth": pose.uses_depth,
        }
    )


def run_hash(predictor: Predictor) -> str:
    """Return the first 12 digits of the SHA-256 of the run and the weights of a checkpoint.

    Args:
        predictor: the checkpoint.
    """
    digest = hashlib.sha256(dump_run(predictor.run).encode())
    for network in (predictor.depth, predictor.pose):
        for name, tensor in () if network is None else network.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def write_examples(model: Path) -> tuple[Path, ...]:
    """Write programs that use a model of ONNX beside it, in Python and C++, without packdepth.

    A program that is there already and differs may have been edited: it stays, and a line on standard error says so.

    Args:
        model: the model.

    Returns:
        The programs, in the order of `EXAMPLES`.
    """
    programs = tuple(model.with_name(f"{model.stem}-{name}") for name in EXAMPLES)
    for name, program in zip(EXAMPLES, programs, strict=True):
        text = (Path(__file__).parent / "examples" / name).read_bytes()
        if program.exists() and program.read_bytes() != text:
            reason = "which differs from the example of this version; remove it to get that"
            print(f"kept: {program}, {reason}", file=sys.stderr)
            continue
        with replacing(program) as temporary:
            temporary.write_bytes(text)
    return programs


def _check_motion(exported: ExportedPredictor, graph: Graph, path: Path) -> None:
    """Raise InputError if an exported ego-motion network differs from that of the checkpoint, on its example inputs."""
    with torch.inference_mode():
        (expected,) = graph.module(*graph.inputs.values())
    found = exported.compute_motion({name: value.numpy() for name, value in graph.inputs.items()})[MOTION]
    largest = float(np.abs(found - expected.numpy()).max())
    if not largest <= MOTION_TOLERANCE:
        raise InputError(
            f"{path}: was not written, because its motion differs from that of the checkpoint by {largest:.2g}; leave "
            f"--pose out, or write it in another --format"
        )


def _format(output: Path, name: str | None) -> type[Format]:
    """Return the format that an option or the suffix of the output names."""
    formats = all_formats()
    if name is not None and name not in formats:
        raise InputError(f"--format: '{name}' is not known: {nearest(name, list(formats))}")
    suffixes = {each.suffix: each for each in formats.values()}
    if name is None and output.suffix not in suffixes:
        known = ", ".join(f"{each.suffix} ({each.kind})" for each in formats.values())
        raise InputError(f"{output}: its suffix names no format; name a file {known}")
    chosen = suffixes[output.suffix] if name is None else formats[name]
    if output.suffix != chosen.suffix:
        raise InputError(f"{output}: files of --format {chosen.kind} end in {chosen.suffix}; name such a file")
    if output.is_dir():
        raise InputError(f"{output}: is a folder; name a file")
    return chosen


def _batch(text: str) -> int | None:
    """Return the number of images in a call; None for any."""
    if text == "dynamic":
        return None
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise InputError(f"--batch {text}: is no number of images; give 1 or more, or dynamic")
    return int(text)


def _opset(kind: type[Format], opset: int | None) -> int | None:
    """Return the version of ONNX's operators that an option asks for; None if it asks for none."""
    if opset is None or opset in kind.opsets:
        return opset
    if not kind.opsets:
        raise InputError(f"--opset {opset}: is for --format onnx; leave it out")
    raise InputError(
        f"--opset {opset}: is not supported; give {kind.opsets[0]} to {kind.opsets[-1]}, the versions of ONNX's "
        f"operators that torch's exporter writes here"
    )


def _size(text: str, option: str) -> tuple[int, int]:
    """Return height and width of a size such as 192x640, the value of an option."""
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text)
    if match is None:
        raise InputError(f"{option} {text}: is no size; give height and width in pixels, such as 192x640")
    height, width = int(match[1]), int(match[2])
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (height, width)):
        raise InputError(f"{option} {text}: is not supported; height and width are {MIN_SIDE} to {MAX_SIDE} pixels")
    return height, width
