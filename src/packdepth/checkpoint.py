"""Checkpoints: folders with `weights.safetensors`, `run.yaml` and `meta.json`. None of these files is a pickle."""

from __future__ import annotations

import glob
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from packdepth.blocks import CheckpointContext, Closed, parse
from packdepth.config import Imported, Run, dump_run, parse_run
from packdepth.errors import InputError
from packdepth.geometry.camera import Camera

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS, RUN, META = "weights.safetensors", "run.yaml", "meta.json"
TRAINER_STATE = "trainer.ckpt"  # file in `last/`, which is not part of a checkpoint: state for resuming the training
SEMANTICS = "semantics"  # optional folder in a checkpoint: copy of the segmentation network that guides depth


WELL_DETERMINED = 0.05  # largest relative standard deviation of a well determined focal length; chosen by eye


class LearnedCamera(Closed):
    """A camera that was learned with the networks, at the size of its images.

    >>> LearnedCamera(width=4, height=2, fx=2, fy=2, cx=1.5, cy=0.5, focal_deviation=0.01).camera.fx
    2.0
    """

    width: int
    """Width of its images, in pixels."""
    height: int
    """Height of its images, in pixels."""
    fx: float
    """Focal length along x, in pixels."""
    fy: float
    """Focal length along y, in pixels."""
    cx: float
    """x of the principal point, in pixels."""
    cy: float
    """y of the principal point, in pixels."""
    focal_deviation: float
    """Relative standard deviation of the focal length; 0.3, as for the guess, if the video does not improve it."""

    @property
    def camera(self) -> Camera:
        """The camera, at the size of its images."""
        return Camera(self.fx, self.fy, self.cx, self.cy, self.width, self.height)

    def __str__(self) -> str:
        well = self.focal_deviation <= WELL_DETERMINED
        return (
            f"fx {self.fx:.1f}, fy {self.fy:.1f}, cx {self.cx:.1f}, cy {self.cy:.1f} for {self.width}x{self.height} "
            f"({self.camera.fov():.1f} degrees across), focal length within {self.focal_deviation:.1%}: "
            + ("well determined" if well else "ill determined, the video turns too little to tell it")
        )


class ScaleCheck(Closed):
    """The comparison of a checkpoint's scale with measured lengths.

    >>> ScaleCheck(source="speed", ratio=0.98, spread=0.03, frames=40, held_out=True).ratio
    0.98
    """

    source: str
    """Source of the measured lengths: "speed", "poses", "camera height", "depth", "lidar" or "points"."""
    ratio: float
    """Predicted over measured length, the median over frames; 1 is right."""
    spread: float
    """Relative standard deviation over frames, robust."""
    frames: int
    """Number of frames."""
    held_out: bool
    """Whether the frames were left out of the training, or of the calibration, that set the scale."""


class CalibrationRecord(Closed):
    """The calibration of a checkpoint by `packdepth calibrate`.

    >>> record = CalibrationRecord(source="speed", factor=1.7, motion_factor=1.6, spread=0.03, frames=40, data="drive")
    >>> record.factor
    1.7
    """

    source: str
    """Source of the measured lengths, as in `ScaleCheck`."""
    factor: float
    """Factor by which depth was multiplied."""
    motion_factor: float
    """Factor by which the translations of ego-motion were multiplied."""
    spread: float
    """Relative standard deviation of the factor over frames, robust."""
    frames: int
    """Number of frames."""
    data: str
    """Path of the frames."""

    def __str__(self) -> str:
        return (
            f"depth times {self.factor:.4g}, ego-motion times {self.motion_factor:.4g}, by {self.source} in "
            f"{self.frames} frames of {self.data}, spread {self.spread:.1%}"
        )


class Meta(Closed):
    """The description of a checkpoint.

    >>> meta = Meta(packdepth="0.1.0", created="2026-11-26", epoch=1, step=20, metric=True, scale_source="stereo",
    ...             clips=["kitti_odometry/06/left"], frames=100)
    >>> meta.camera_for(height=192, width=640) is None
    True
    """

    packdepth: str
    """Version of packdepth that wrote it."""
    git_commit: str | None = None
    """Git commit of the project that it was trained with."""
    created: str
    """Date and time of writing, UTC."""
    epoch: int
    """Number of finished epochs. This and the other numbers are 0 if another project trained the checkpoint."""
    step: int
    """Number of finished optimizer steps."""
    metric: bool
    """Whether depth is in metres."""
    scale_source: str
    """Source of the scale, such as "velocity (poses)"; "none" if depth is known up to a factor only."""
    clips: list[str]
    """Names of the training clips."""
    frames: int
    """Number of frames of these clips, without dropped static frames."""
    scores: dict[str, float] = {}
    """Mean training loss of the epoch, and the scores of its validation, if there was one."""
    cameras: list[LearnedCamera] = []
    """Cameras that were learned, if any."""
    scale_checks: list[ScaleCheck] = []
    """Comparisons of the scale with measured lengths, if any."""
    calibration: CalibrationRecord | None = None
    """The latest calibration by `packdepth calibrate`, if any."""
    packages: dict[str, str] = {}
    """Package of each block of the run file that is not packdepth's own, by the kind of the block."""

    def camera_for(self, height: int, width: int) -> LearnedCamera | None:
        """Return the learned camera for images of a given size; None unless exactly one camera has that size.

        Args:
            height: height of the images, in pixels.
            width: width of the images, in pixels.
        """
        learned = [camera for camera in self.cameras if (camera.height, camera.width) == (height, width)]
        return learned[0] if len(learned) == 1 else None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory."""

    run: Run | Imported  # run file, or its place-holder if another project trained the networks
    meta: Meta  # description
    weights: dict[str, Tensor]  # weights by name, as in the training module: `depth.*`, `pose.*`


def write(folder: Path, checkpoint: Checkpoint, extra: Callable[[Path], None] | None = None) -> None:
    """Write a checkpoint atomically: the folder always holds a complete checkpoint, the old or the new one.

    Args:
        folder: the folder.
        checkpoint: the checkpoint.
        extra: a function that adds files of its own to the temporary folder before it takes the place of `folder`.
    """
    from safetensors.torch import save_file

    with replaced(folder) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in checkpoint.weights.items()}, temporary / WEIGHTS)
        (temporary / RUN).write_text(dump_run(checkpoint.run))
        unused = {name for name in ("packages", "calibration") if not getattr(checkpoint.meta, name)}
        (temporary / META).write_text(checkpoint.meta.model_dump_json(indent=2, exclude=unused) + "\n")
        if extra is not None:
            extra(temporary)


def read(folder: Path) -> Checkpoint:
    """Return the checkpoint in a folder.

    Args:
        folder: the folder.

    Raises InputError if the folder is no checkpoint.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    run, meta = read_description(folder)
    try:
        return Checkpoint(run, meta, load_file(folder / WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{folder / WEIGHTS}: cannot be read ({error}); train again or copy it again") from None


def read_description(folder: Path) -> tuple[Run | Imported, Meta]:
    """Return the run and the description of a checkpoint, without its weights.

    Terms, sources and optimizers of packages that are not installed are kept as `blocks.Unknown`: only the networks
    must be known.

    Args:
        folder: the folder.

    Raises InputError if the folder is no checkpoint, or if its networks are not known here.
    """
    run_values, meta_values = description_values(folder, "checkpoint", "training wrote, such as OUTPUT/best")
    meta = parse(Meta, meta_values, str(folder / META))
    context = CheckpointContext(is_checkpoint=True, packages=meta.packages)
    return _parse_run(run_values, str(folder / RUN), context), meta


def recorded_packages(folder: Path) -> dict[str, str]:
    """Return the packages that a checkpoint was trained with, by kind; none if there is no checkpoint to read.

    Args:
        folder: the folder of the checkpoint.

    >>> recorded_packages(Path("no such folder"))
    {}
    """
    try:
        meta = json.loads((folder / META).read_text())
    except (OSError, ValueError):
        return {}
    return parse(Meta, meta, str(folder / META)).packages


def description_values(folder: Path, what: str, origin: str) -> tuple[Any, Any]:
    """Return the content of `run.yaml` and of `meta.json` of a checkpoint of any kind of network.

    Args:
        folder: the folder of the checkpoint.
        what: what the folder should be, such as "checkpoint", for the sentence of an error.
        origin: where such a folder comes from, the end of that sentence.

    Raises InputError if a file is missing or is not valid YAML or JSON.
    """
    missing = [name for name in (WEIGHTS, RUN, META) if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder}: is no {what} (it lacks {', '.join(missing)}); give a folder that {origin}")
    try:
        return yaml.safe_load((folder / RUN).read_text()), json.loads((folder / META).read_text())
    except (yaml.YAMLError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{folder}: its description cannot be read: {' '.join(str(error).split())}") from None


def _parse_run(values: Any, origin: str, context: CheckpointContext) -> Run | Imported:
    """Return the content of a checkpoint's `run.yaml`."""
    if isinstance(values, dict) and "imported_from" in values:
        return parse(Imported, values, origin, context)
    return parse_run(values, origin, context)


def semantics_copy(folder: Path) -> Path | None:
    """Return the folder with a checkpoint's copy of the segmentation network that guides depth; None without one.

    Args:
        folder: the folder of the checkpoint.
    """
    copy = folder / SEMANTICS
    return copy if copy.is_dir() else None


def copy_semantics(folder: Path, new: Path) -> None:
    """Copy the segmentation network that guides depth from a checkpoint to a new one, if there is one.

    Args:
        folder: the folder of the checkpoint.
        new: the folder of the new checkpoint.
    """
    copy = semantics_copy(folder)
    if copy is not None:
        shutil.copytree(copy, new / SEMANTICS)


def check_unchanged(output: Path, before: Closed, after: Closed, free: AbstractSet[str]) -> None:
    """Raise InputError if a training is to be resumed with other values than it began with.

    Args:
        output: the output of the training.
        before: the run file that it began with.
        after: the run file that it is to be resumed with.
        free: dotted names of the values that may change, such as "data.workers".
    """
    changed = _changes(before.model_dump(mode="json"), after.model_dump(mode="json"))
    changed = [name for name in changed if name not in free]
    if changed:
        raise InputError(
            f"{output}: was trained with other values of {', '.join(changed)}; "
            f"resume with the same run file, or train into another --output"
        )


def _changes(before: object, after: object, name: str = "") -> list[str]:
    """Return the dotted names of the values that differ."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        return [change for key in before for change in _changes(before[key], after[key], f"{name}.{key}".lstrip("."))]
    return [] if before == after else [name]


def recover(path: Path) -> None:
    """Undo what a kill in the middle of `replaced` has left beside a path.

    If the new folder had not yet taken the place of the old one, the old one is put back. Temporary folders are
    removed.

    Args:
        path: the path of the folder.
    """
    name = glob.escape(path.name)
    for old in path.parent.glob(f".{name}-old-*/{name}"):
        if not path.exists():
            old.rename(path)
    for temporary in path.parent.glob(f".{name}-*"):
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, which takes its place if the block succeeds and is removed otherwise.

    Args:
        path: the path of the folder.

    >>> folder = Path(tempfile.mkdtemp()) / "best"
    >>> with replaced(folder) as temporary:
    ...     _ = (temporary / "note.txt").write_text("hello")
    >>> (folder / "note.txt").read_text()
    'hello'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
            path.rename(old / path.name)
            try:
                temporary.rename(path)
            except BaseException:
                (old / path.name).rename(path)
                raise
            finally:
                shutil.rmtree(old)
        else:
            temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
