"""The description of a checkpoint as text: `packdepth info`."""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from pathlib import Path

from safetensors import SafetensorError, safe_open

from packdepth.checkpoint import WEIGHTS, read_description, semantics_copy
from packdepth.config import (
    TRAINING_OPTIONS,
    DepthConfig,
    FpnSemantics,
    GuidanceConfig,
    Imported,
    ImportedPoseConfig,
    LabelMaps,
)
from packdepth.errors import InputError
from packdepth.interop.read import is_foreign, read_foreign

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # tensors of BatchNorm that are no parameters


def describe(checkpoint: str | Path) -> str:
    """Return the description of a checkpoint, ours or another project's, in lines of aligned text.

    The weights of our own checkpoints are not loaded, only their shapes.

    Args:
        checkpoint: the folder that training wrote, or another project's file or folder.

    Raises InputError if there is no checkpoint.
    """
    path = Path(checkpoint)
    if is_foreign(path):
        content = read_foreign(path)
        run, meta = content.run, content.meta
        sizes = {name: tensor.numel() for name, tensor in content.weights.items()}
    else:
        run, meta = read_description(path)
        sizes = _parameters(path / WEIGHTS)
    hidden = TRAINING_OPTIONS.keys() if isinstance(run, Imported) else set()
    depth, pose = run.networks.depth, run.networks.pose
    height, width = run.image_size
    rows = [
        ("checkpoint", str(path)),
        ("depth network", _network(depth, sizes, "depth.", hidden)),
        *([] if depth.guidance is None else [("guided by", _semantics(depth.guidance, path))]),
        ("pose network", "none: no ego-motion" if pose is None else _network(pose, sizes, "pose.", hidden)),
        ("image size", f"{height} x {width} (height x width)"),
    ]
    unit = ("depth", depth_unit(meta.metric, meta.scale_source))
    written = ("written", f"{meta.created} by packdepth {meta.packdepth}")
    if isinstance(run, Imported):
        rows += [
            ("trained by", run.imported_from),
            unit,
            *[("" if i else "notes", note) for i, note in enumerate(run.notes)],
            *([] if is_foreign(path) else [written]),
        ]
    else:
        rows += [
            ("trained on", f"{_count(meta.frames, 'frame')} of {_count(len(meta.clips), 'clip')}"),
            *[("", clip) for clip in meta.clips],
            *_labeled("objective", [(term.kind, f"weight {term.weight:g}") for term in run.objective]),
            unit,
            *[("camera", str(camera)) for camera in meta.cameras],
            ("training", f"{_count(meta.epoch, 'epoch')}, {_count(meta.step, 'step')}"),
            *_labeled("scores", [(name, f"{value:.4g}") for name, value in meta.scores.items()]),
            written,
            ("git commit", meta.git_commit or "unknown"),
        ]
    return "\n".join(f"{label:<15}{text}" for label, text in rows)


def depth_unit(metric: bool, scale_source: str) -> str:
    """Return, as the end of a sentence, whether depth is metric and where its scale comes from.

    Args:
        metric: whether depth is in metres.
        scale_source: where the scale comes from.

    >>> depth_unit(True, "velocity (speed)")
    'metric, its scale comes from velocity (speed)'
    """
    return f"metric, its scale comes from {scale_source}" if metric else f"up to a factor (scale: {scale_source})"


def _labeled(label: str, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return rows of name and value in two columns, with the label on the first row."""
    width = max((len(name) for name, _ in pairs), default=0)
    return [("" if i else label, f"{name:<{width}}  {value}") for i, (name, value) in enumerate(pairs)]


def _network(
    config: DepthConfig | ImportedPoseConfig, sizes: dict[str, int], prefix: str, hidden: AbstractSet[str]
) -> str:
    """Return kind, options and number of parameters of a network.

    Args:
        config: the block of the network.
        sizes: the number of values of each tensor of the checkpoint.
        prefix: the beginning of the names of the network's tensors.
        hidden: the names of options to leave out.
    """
    values = config.model_dump(exclude={"kind", "guidance", *hidden})
    options = [f"{name} {value}" for name, value in values.items() if value is not None and value is not False]
    parameters = sum(size for name, size in sizes.items() if name.startswith(prefix) and not name.endswith(BUFFERS))
    return ", ".join([config.kind, *options, _count(parameters, "parameter")])


def _semantics(guidance: GuidanceConfig, path: Path) -> str:
    """Return a phrase that says what guides the depth network and whether the checkpoint holds it."""
    semantics, strides = guidance.semantics, ", ".join(map(str, guidance.strides))
    if isinstance(semantics, LabelMaps):
        return (
            f"label maps of {semantics.classes} classes at strides {strides} (on disk: images are predicted "
            f"with the semantic/ of their clip, which is not part of this checkpoint)"
        )
    name = str(semantics.checkpoint) if isinstance(semantics, FpnSemantics) else semantics.model
    copy = semantics_copy(path)
    held = "by value: a copy is part of this checkpoint" if copy else "by reference: loaded from there when needed"
    return f"{semantics.kind} {name} at strides {strides} ({held})"


def _parameters(path: Path) -> dict[str, int]:
    """Return the number of values of each tensor of a safetensors file, from its header."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: math.prod(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); train again or copy it again") from None


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
