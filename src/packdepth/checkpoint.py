"""A checkpoint is a folder: `weights.safetensors`, `run.yaml`, `meta.json`. No pickle among what others read."""

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
TRAINER_STATE = "trainer.ckpt"  # beside a checkpoint's own files: the state from which its training can be resumed
SEMANTICS = "semantics"  # a folder in it: the copy of the segmentation network that guides depth, where it holds one


WELL_DETERMINED = 0.05  # relative standard deviation of a focal length, at most


class LearnedCamera(Closed):
    """A camera that was learned with the networks, at the size of its images."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    focal_deviation: float
    """Relative standard deviation of the focal length; 0.3, that of the guess, where the video does not tell it."""

    @property
    def camera(self) -> Camera:
        """The camera."""
        return Camera(self.fx, self.fy, self.cx, self.cy, self.width, self.height)

    def __str__(self) -> str:
        well = self.focal_deviation <= WELL_DETERMINED
        return (
            f"fx {self.fx:.1f}, fy {self.fy:.1f}, cx {self.cx:.1f}, cy {self.cy:.1f} for {self.width}x{self.height} "
            f"({self.camera.fov():.1f} degrees across), focal length within {self.focal_deviation:.1%}: "
            + ("well determined" if well else "ill determined, the video turns too little to tell it")
        )


class Meta(Closed):
    """What a checkpoint says of itself."""

    packdepth: str
    """The version that wrote it."""
    git_commit: str | None = None
    """Of the project it was trained with."""
    created: str
    """Date and time, UTC."""
    epoch: int
    """Finished epochs; 0 if another project trained it, as with all that follows of the training."""
    step: int
    """Finished optimizer steps."""
    metric: bool
    """Whether depth is in metres."""
    scale_source: str
    """Where the scale comes from, such as "velocity (poses)"; "none" if depth is known up to a factor only."""
    clips: list[str]
    """The clips it was trained on."""
    frames: int
    """How many frames they hold."""
    scores: dict[str, float] = {}
    """Of the last validation, or the training loss."""
    cameras: list[LearnedCamera] = []
    """The cameras that were learned, if any."""
    packages: dict[str, str] = {}
    """The packages, beside packdepth, that the kinds of the run file come from, by kind."""

    def camera_for(self, height: int, width: int) -> LearnedCamera | None:
        """The camera that was learned for images of this size, if it is one."""
        learned = [camera for camera in self.cameras if (camera.height, camera.width) == (height, width)]
        return learned[0] if len(learned) == 1 else None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory."""

    run: Run | Imported
    meta: Meta
    weights: dict[str, Tensor]  # names as in the training module: `depth.*`, `pose.*`


def write(folder: Path, checkpoint: Checkpoint, extra: Callable[[Path], None] | None = None) -> None:
    """Write a checkpoint so that `folder` holds the old one or the new one, never a part.

    `extra` may add files of its own to the folder before it takes its place.
    """
    from safetensors.torch import save_file

    with replaced(folder) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in checkpoint.weights.items()}, temporary / WEIGHTS)
        (temporary / RUN).write_text(dump_run(checkpoint.run))
        unused = {"packages"} if not checkpoint.meta.packages else set()
        (temporary / META).write_text(checkpoint.meta.model_dump_json(indent=2, exclude=unused) + "\n")
        if extra is not None:
            extra(temporary)


def read(folder: Path) -> Checkpoint:
    """Read a checkpoint. Raises InputError if `folder` is none."""
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

    Raises InputError if `folder` is no checkpoint, or if its networks are not known here.
    """
    missing = [name for name in (WEIGHTS, RUN, META) if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder}: is no checkpoint (it lacks {', '.join(missing)}); "
            f"give a folder that training wrote, such as OUTPUT/best"
        )
    try:
        meta = parse(Meta, json.loads((folder / META).read_text()), str(folder / META))
        context = CheckpointContext(is_checkpoint=True, packages=meta.packages)
        run = _parse_run(yaml.safe_load((folder / RUN).read_text()), str(folder / RUN), context)
    except (yaml.YAMLError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{folder}: its description cannot be read: {' '.join(str(error).split())}") from None
    return run, meta


def _parse_run(values: Any, origin: str, context: CheckpointContext) -> Run | Imported:
    if isinstance(values, dict) and "imported_from" in values:
        return parse(Imported, values, origin, context)
    return parse_run(values, origin, context)


def semantics_copy(folder: Path) -> Path | None:
    """The checkpoint's copy of the segmentation network that guides its depth network, if it holds one."""
    copy = folder / SEMANTICS
    return copy if copy.is_dir() else None


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
    """Undo what a kill in the middle of `replaced` left beside `path`.

    If the new folder had not yet taken the old one's place, the old one is put back; temporary folders are removed.
    """
    name = glob.escape(path.name)
    for old in path.parent.glob(f".{name}-old-*/{name}"):
        if not path.exists():
            old.rename(path)
    for temporary in path.parent.glob(f".{name}-*"):
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends well, and vanishes when it fails."""
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
