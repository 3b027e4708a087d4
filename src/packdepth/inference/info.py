"""The description of a checkpoint as text: `packdepth info`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from packdepth.blocks import Unknown, file_of
from packdepth.checkpoint import WEIGHTS, Meta, read_description, semantics_copy
from packdepth.config import Imported, Run
from packdepth.errors import InputError, in_one_line
from packdepth.inference.exported import is_exported, load_exported
from packdepth.interop.read import is_foreign, read_foreign
from packdepth.networks.blocks import DepthNetworkBlock, GuidanceBlock, NetworkBlock, PoseBlock
from packdepth.objectives.term import Term
from packdepth.progress import counted
from packdepth.sources.base import Source

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # tensors of BatchNorm that are no parameters
FACTORS = {
    "scale",
    "translation_scale",
    "rotation_scale",
}  # named only where they differ from their default


def describe(checkpoint: str | Path) -> str:
    """Return the description of a checkpoint, ours or another project's, in lines of aligned text.

    The weights of our own checkpoints are not loaded, only their shapes.

    Args:
        checkpoint: the folder that training wrote, another project's file or folder, or an exported file.

    Raises InputError if there is no checkpoint.
    """
    path = Path(checkpoint)
    if is_exported(path):
        return _table(_exported(path))
    if is_foreign(path):
        content = read_foreign(path)
        run, meta = content.run, content.meta
        sizes = {name: tensor.numel() for name, tensor in content.weights.items()}
    else:
        run, meta = read_description(path)
        sizes = _parameters(path / WEIGHTS)
    depth, pose, is_imported = run.networks.depth, run.networks.pose, isinstance(run, Imported)
    height, width = run.image_size
    rows = [
        ("checkpoint", str(path)),
        ("depth network", _network(depth, sizes, "depth.", is_imported)),
        *([] if depth.guidance is None else [("guided by", _semantics(depth.guidance, path))]),
        *([("label classes", ", ".join(meta.label_classes))] if meta.label_classes else []),
        (
            "pose network",
            "none: no ego-motion" if pose is None else _network(pose, sizes, "pose.", is_imported),
        ),
        ("image size", f"{height} x {width} (height x width)"),
    ]
    unit = ("depth", meta.scale)
    calibrated = [] if meta.calibration is None else [("calibrated", str(meta.calibration))]
    written = ("written", f"{meta.created} by packdepth {meta.packdepth}")
    if isinstance(run, Imported):
        rows += [
            ("trained by", run.imported_from),
            unit,
            *calibrated,
            *[("" if i else "notes", note) for i, note in enumerate(run.notes)],
            *([] if is_foreign(path) else [written]),
        ]
    else:
        rows += [
            ("trained on", f"{counted(meta.frames, 'frame')} of {counted(len(meta.clips), 'clip')}"),
            *[("", clip) for clip in meta.clips],
            *_labeled("read by", _unknown_sources(run, meta)),
            *_labeled("objective", [(term.kind, _weight(term, meta)) for term in run.objective]),
            *([] if meta.teacher is None else [("teacher", meta.teacher)]),
            unit,
            *calibrated,
            *[("camera", str(camera)) for camera in meta.cameras],
            ("training", f"epoch {meta.epoch} of {run.training.epochs}, {counted(meta.step, 'step')}"),
            *_labeled("scores", [(name, f"{value:.4g}") for name, value in meta.scores.items()]),
            written,
            *([] if meta.git_commit is None else [("git commit", meta.git_commit)]),
        ]
    return _table(rows)


def _table(rows: Sequence[tuple[str, str]]) -> str:
    """Return labels and texts in lines of aligned text."""
    return "\n".join(f"{label:<15}{in_one_line(text)}" for label, text in rows)


def _exported(path: Path) -> list[tuple[str, str]]:
    """Return the rows that describe an exported network."""
    predictor = load_exported(path)
    record = predictor.record
    height, width = record.image_size
    count = "any number" if record.batch is None else str(record.batch)
    values = "floats in [0, 1]" if record.input == "float" else "uint8"
    inside = [] if record.network_size == record.image_size else ["{} x {} inside".format(*record.network_size)]
    size = ", ".join([f"{height} x {width} (height x width)", *inside, f"{count} in a call", values])
    return [
        ("exported file", str(path)),
        ("depth network", record.network),
        ("pose network", "none: no ego-motion" if predictor.pose_network is None else predictor.pose_network),
        ("image size", size),
        ("precision", record.precision),
        ("depth", record.meta.scale),
        *_labeled("trained on", [(clip, "") for clip in record.meta.clips]),
        ("run hash", record.run_hash),
        ("license", record.license),
        ("written", f"by packdepth {record.packdepth}"),
    ]


def _labeled(label: str, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return rows of name and value in two columns, with the label on the first row."""
    width = max((len(name) for name, _ in pairs), default=0)
    return [("" if i else label, f"{name:<{width}}  {value}") for i, (name, value) in enumerate(pairs)]


def _weight(term: Term | Unknown, meta: Meta) -> str:
    """Return the weight of a term; of one that is not installed here, the package that it comes from."""
    if isinstance(term, Unknown):
        return _origin(term, meta)
    return f"weight {term.weight:g}"


def _unknown_sources(run: Run, meta: Meta) -> list[tuple[str, str]]:
    """Return the kinds of sources that are not installed here, each with the package that it comes from."""
    sources: list[Source | Unknown] = [*run.data.train, *run.data.val]
    unknown = {source.kind: _origin(source, meta) for source in sources if isinstance(source, Unknown)}
    return list(unknown.items())


def _origin(block: Unknown, meta: Meta) -> str:
    """Return the package that a block comes from which is not installed here, or the file to load it with."""
    origin = meta.packages.get(block.kind, "a package")
    file = file_of(origin)
    return f"of {origin}, which is not installed here" + (f": load it with --use {file}" if file else "")


def _network(block: DepthNetworkBlock | PoseBlock, sizes: dict[str, int], prefix: str, is_imported: bool) -> str:
    """Return kind, options and number of parameters of the network whose weights begin with `prefix`.

    The options of an imported network's training are not known.
    """
    title, described, training = block.kind, frozenset[str](), frozenset[str]()
    if isinstance(block, NetworkBlock):
        title, described, training = block.describe(), block.described, block.training_options
    hidden = training if is_imported else frozenset[str]()
    fields = type(block).model_fields
    neutral = {name for name in FACTORS & set(fields) if getattr(block, name) == fields[name].default}
    long = {name for name, field in fields.items() if not field.repr}
    values = block.model_dump(exclude={"kind", "guidance", *described, *hidden, *neutral, *long})
    options = [f"{name} {value}" for name, value in values.items() if value is not None and value is not False]
    parameters = sum(size for name, size in sizes.items() if name.startswith(prefix) and not name.endswith(BUFFERS))
    return ", ".join([title, *options, counted(parameters, "parameter")])


def _semantics(guidance: GuidanceBlock, path: Path) -> str:
    """Return the guidance of the depth network, its origin, and whether the checkpoint holds it."""
    return guidance.semantics.describe(", ".join(map(str, guidance.strides)), semantics_copy(path) is not None)


def _parameters(path: Path) -> dict[str, int]:
    """Return the number of values of each tensor of a safetensors file, from its header."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: math.prod(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); train again or copy it again") from None
