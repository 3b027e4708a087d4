"""Reader of other projects' files, which returns a checkpoint of ours."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packdepth import __version__
from packdepth.blocks import parse
from packdepth.checkpoint import META, RUN, WEIGHTS, Checkpoint, Meta, check_finite
from packdepth.config import Imported
from packdepth.errors import InputError, InputWarning
from packdepth.sources.recognize import recognized

if TYPE_CHECKING:
    from packdepth.interop.found import Found
    from packdepth.interop.layouts import Fit

MODEL_CONFIG = "config.json"  # file in the folder of a model of transformers
ASSUMED_SIZE = (192, 640)  # height and width in pixels: those of most published checkpoints


def is_foreign(path: Path) -> bool:
    """Return whether a path is another project's checkpoint: a file, or a folder of monodepth2 or transformers.

    Needs no torch.

    Args:
        path: the file or folder. Raises InputError if it is something else that is known: data, a run or a run file.
    """
    _check_confusion(path)
    own = any((path / name).exists() for name in (WEIGHTS, RUN, META))
    return path.is_file() or (
        not own and any((path / name).is_file() for name in ("encoder.pth", "depth.pth", MODEL_CONFIG))
    )


def _check_confusion(path: Path) -> None:
    """Raise InputError, which says what to do, for what is given in place of a checkpoint by mistake."""
    if (path / META).is_file():
        return
    inside = sorted([*path.glob(f"*/{META}"), *path.glob(f"*/*/{META}")], key=lambda file: (len(file.parts), file))
    if inside:
        raise InputError(f"{path}: is no checkpoint, but holds some; give one of them, such as {inside[0].parent}")
    if not path.exists():
        raise InputError(f"{path}: not found; give a folder that training wrote, such as OUTPUT/best")
    if path.is_file() and path.suffix.lower() in (".yaml", ".yml"):
        raise InputError(
            f"{path}: is a run file or a calibration, but no checkpoint; packdepth train {path} -o OUTPUT trains a run "
            f"file, and OUTPUT/best is then a checkpoint"
        )
    kinds = recognized(path)
    if kinds:
        raise InputError(
            f"{path}: is data ({' or '.join(kinds)}), but no checkpoint; packdepth data check {path} describes data, "
            f"and a checkpoint is a folder that training wrote, such as OUTPUT/best"
        )


def read_foreign(path: Path, image_size: tuple[int, int] | None = None) -> Checkpoint:
    """Read a checkpoint of packnet-sfm or vidar (a file), or of monodepth2 or transformers (a folder), as one of ours.

    Nothing in a file is executed. Networks are identified by their tensors, those of transformers by config.json.

    Args:
        path: the file or folder.
        image_size: height and width of the networks' input, in pixels; if left out, the size that the file names. A
            file that names none gets 192 x 640, with a warning.

    Raises InputError if the files name anything but tensors and configurations, are damaged, or hold networks that
    fit ours only in part (the message then lists the tensors that are missing, unexpected or of another shape), or
    whose weights are not finite.
    """
    from packdepth.interop import monodepth2, packnet_sfm
    from packdepth.interop.layouts import best_fit

    if (path / MODEL_CONFIG).is_file():
        return _model(path, image_size)
    found = monodepth2.read(path) if path.is_dir() else packnet_sfm.read(path)
    fits = {network: best_fit(part.tensors, part.layouts) for network, part in found.networks.items()}
    _check(path, found, fits)
    notes = [
        f"left out {fit.layout.extra.what} ({network} network, {len(fit.left_out)} tensors)"
        for network, fit in fits.items()
        if fit.layout.extra and fit.left_out
    ]
    run = _imported(
        path,
        found.project,
        image_size or found.image_size,
        {network: fit.layout.config.model_dump() for network, fit in fits.items()},
        notes,
    )
    weights = {f"{network}.{name}": tensor for network, fit in fits.items() for name, tensor in fit.weights.items()}
    check_finite(weights, path)
    return Checkpoint(run, _meta(found.metric, found.scale_source), weights)


def _model(path: Path, image_size: tuple[int, int] | None) -> Checkpoint:
    """Return the depth network of transformers in a folder as a checkpoint, which was never trained here."""
    from packdepth.networks.transformers_depth import TransformersDepthBlock

    block = TransformersDepthBlock(model=str(path)).completed()
    network = block.assemble()
    block.start(network)
    note = {
        "inverse": "inverse depth up to a scale and a shift that training has to find",
        "depth": "depth up to a scale and a shift that training has to find",
        "metric": "depth in the metres of the model's own training data, which were not measured here",
    }[block.output]
    values = block.model_dump(mode="json")
    run = _imported(path, "transformers", image_size, {"depth": values}, [note])
    weights = {f"depth.{name}": tensor for name, tensor in network.state_dict().items()}
    check_finite(weights, path)
    return Checkpoint(run, _meta(False, "none"), weights)


def _imported(path: Path, project: str, size: tuple[int, int] | None, networks: Any, notes: list[str]) -> Imported:
    """Return the description of networks that another project trained; an unknown image size is assumed."""
    if size is None:
        size = ASSUMED_SIZE
        notes = [*notes, f"the image size of {size[0]} x {size[1]} is assumed, as the file does not say"]
        warnings.warn(f"{path}: {notes[-1]}; packdepth convert --image-size sets another", InputWarning, stacklevel=4)
    values = {"imported_from": project, "image_size": list(size), "networks": networks, "notes": notes}
    return parse(Imported, values, str(path))


def _meta(metric: bool, scale_source: str) -> Meta:
    """Return the description of a checkpoint that was not trained here."""
    return Meta(
        packdepth=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        epoch=0,
        step=0,
        metric=metric,
        scale_source=scale_source,
        clips=[],
        frames=0,
    )


def _check(path: Path, found: Found, fits: dict[str, Fit]) -> None:
    """Raise InputError unless every tensor belongs to a network and fits it."""
    from packdepth.interop.layouts import grouped

    problems = []
    for network, fit in fits.items():
        if not fit.weights:
            part = found.networks[network]
            known = ", ".join(layout.title for layout in part.layouts)
            problems.append(f"its {network} network ({grouped(part.tensors)}) is none of {known}")
        elif fit.problems:
            problems.append(f"its {network} network is {fit.layout.title} only in part: {fit.problems}")
    if found.others:
        problems.append(f"belonging to neither network: {grouped(found.others)}")
    if problems:
        raise InputError(f"{path}: {'; '.join(problems)}; nothing is loaded from a file that fits only in part")
