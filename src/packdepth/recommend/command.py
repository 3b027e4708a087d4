"""`packdepth init`: a run file that suits some data, with a comment beside each value."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Literal

from packdepth.config import parse_run
from packdepth.data.targets import distinct_cameras
from packdepth.errors import InputError
from packdepth.files import make_folder, replacing
from packdepth.objectives.objective import Objective
from packdepth.ownership import owned
from packdepth.progress import counted
from packdepth.recommend.choices import (
    BUSY,
    Budget,
    Choice,
    choose,
    plan_in_words,
    scale_in_advance,
    unused_stereo,
    usable,
    uses_stereo,
    with_steps,
)
from packdepth.recommend.look import Look, Without, hidden, look
from packdepth.recommend.run_text import run_text, run_values
from packdepth.recommend.step_time import StepTime, time_of_step
from packdepth.sources.base import Source
from packdepth.sources.guess import guess_in_words
from packdepth.sources.recognize import source_at
from packdepth.sources.split import own_line, write_split
from packdepth.training.data import RunData
from packdepth.training.elsewhere import train_elsewhere
from packdepth.training.run import run_clips
from packdepth.workers import cores

RUN_SUFFIXES = (".yaml", ".yml")
MINUTES = 10.0  # of a training, if nothing is said
MAX_PROCESSES = 4  # of a training on a CPU: more do not pay at a batch size of 4


def init(
    source: Path | str,
    output: Path | str,
    *,
    minutes: float = MINUTES,
    device: Literal["auto", "cpu", "gpu"] = "auto",
    without: Sequence[Without] = (),
    kind: str | None = None,
    options: Sequence[str] = (),
    seed: int = 1,
) -> Path:
    """Write a run file that suits some data, and return its path.

    The data are measured: sizes, motion between frames, speeds, cameras, stereo pairs, LiDAR. A few training steps are
    timed on this machine. Each value in the file has a comment that says why it is there.

    Args:
        source: the data: a video, a folder of images, a clip, a folder of clips, or a data set of any kind.
        output: the run file to write.
        minutes: how long the training may take on this machine.
        device: what will train: "cpu", "gpu", or "auto" for a GPU if there is one.
        without: measurements not to use, to keep them for evaluation: "depth", "stereo", "speed", "height".
        kind: the kind of data; if left out, it is recognized.
        options: options of the source, each as `key=value`, such as "speeds=log.csv".
        seed: the seed of the training.

    Raises InputError if the data cannot be trained on, and if the file is there already.
    """
    output = Path(output)
    if output.exists():
        raise InputError(f"{output}: is there already; name another file, or remove it")
    if not 0 < minutes < math.inf:
        raise InputError(f"--minutes: is {minutes:g}; give the minutes that the training may take")
    found = source_at(Path(source), kind, options)
    clips = hidden(found.clips(), without)
    print(f"looking at {counted(sum(len(clip.frames) for clip in clips), 'frame')}", file=sys.stderr, flush=True)
    looked = look(clips)
    check_trainable(looked, Path(source))
    used, left_out = usable(looked)
    if not used:
        raise InputError(f"{source}: none of its clips can be trained on ({'; '.join(left_out[:3])})")
    make_folder(output.parent)
    split = output.with_suffix(".split.txt")
    if left_out:
        print("left out   " + "\n           ".join(left_out))
        looked = looked.restricted_to(used)
        write_split(split, [own_line(clip.name) for clip in used], f"the clips that {output.name} trains on")
        found = found.restricted_to(split)
    try:
        budget = Budget(minutes, *_device(device), seed)
        choices, slowdown = recommended(looked, found, budget, keeps_depth="depth" in without)
    except InputError:
        if left_out:
            split.unlink()
        raise
    if any(choice.key == "camera" for choice in choices):
        guesses = dict.fromkeys(guess_in_words(clip) for clip in looked.clips if clip.missing_camera is not None)
        print(f"camera     not known: learned with depth, from a guess of {' and '.join(guesses)}")
    pairs = unused_stereo(looked)
    if pairs:
        print("stereo     not used, as some clips lack what it needs:\n           " + "\n           ".join(pairs))
    print(f"depth      {scale_in_advance(choices, looked)}")
    print("\n".join(plan_in_words(choices, budget, slowdown)))
    with replacing(output) as temporary:
        temporary.write_text(run_text(choices, _headline(Path(source), minutes, left_out, pairs)))
    return output


def is_data(path: Path) -> bool:
    """Return whether a path is data to train on, and not a run file: a folder, or a file that is no YAML.

    Args:
        path: the path, which may not exist.

    >>> is_data(Path("run.yaml")), is_data(Path("."))
    (False, True)
    """
    return path.is_dir() or (path.is_file() and path.suffix.lower() not in RUN_SUFFIXES)


def train_on_data(
    source: Path,
    output: Path,
    minutes: float,
    values: Sequence[str] = (),
    resume: bool = False,
    use: Sequence[str] = (),
) -> None:
    """Write a run file for some data to `output/run.yaml`, and train it.

    Args:
        source: the data, as in `init`.
        output: the folder of the run.
        minutes: how long the training may take on this machine.
        values: texts `key=value`. Those whose key has a dot change the run file, the others are options of the source.
        resume: continue the run in the folder, with the run file that it began with.
        use: files or modules that the command line names with --use, for the process that trains.

    Raises InputError as `init` and `train` do.
    """
    file = output / "run.yaml"
    overrides = tuple(value for value in values if "." in value.partition("=")[0])
    if resume and not file.exists():
        raise InputError(f"{file}: not found, so that there is no run to go on with; train without --resume")
    if not resume:
        with owned(output):  # while the run file is written; then the process that trains owns the folder
            init(source, file, minutes=minutes, options=[value for value in values if value not in overrides])
        print(file.read_text(), flush=True)
    train_elsewhere(file, output, overrides, use=use)


def recommended(looked: Look, source: Source, budget: Budget, keeps_depth: bool = False) -> tuple[list[Choice], float]:
    """Return all values of a run file, and how many times as long the training takes beside the present other work.

    Training steps are timed, and it is checked that the data hold what the run file needs.

    Args:
        looked: measurements of the data.
        source: the source.
        budget: what the training may cost.
        keeps_depth: whether measured depth is kept for evaluation.
    """
    block = {"kind": source.kind, **source.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})}
    choices = choose(looked, block, budget, keeps_depth)

    timed: list[StepTime] = []

    def step_seconds(chosen: Sequence[Choice], size: tuple[int, int]) -> float:
        trial = [*chosen, Choice("data.image_size", list(size), ""), Choice("training.epochs", 1, "")]
        run = parse_run(run_values(trial), "the recommended run file")
        clips = [clip for clip in looked.clips if len(clip.frames) > max(map(abs, (0, *run.data.context))) * 2][:1]
        print(f"timing training steps at {size[0]}x{size[1]}", file=sys.stderr, flush=True)
        timed.append(time_of_step(run, [replace(clip, targets=None) for clip in clips]))
        return timed[-1].seconds

    complete = with_steps(choices, looked, budget, step_seconds)
    run = parse_run(run_values(complete), "the recommended run file")
    objective = Objective(run.objective)
    _, clips, validation, *_ = run_clips(run, objective)
    RunData(run, objective, clips, validation, distinct_cameras(clips) if run.camera.learn else [])
    return complete, _slowdown(timed, budget.processes)


def check_trainable(looked: Look, path: Path) -> None:
    """Raise InputError, with the reason, if no network can be trained on some data.

    Args:
        looked: measurements of the data.
        path: their path, for the message.
    """
    measured = any(frame.depth is not None or frame.lidar is not None for clip in looked.clips for frame in clip.frames)
    if measured or uses_stereo(looked):
        return
    pairs = unused_stereo(looked)
    without = f"stereo pairs that can be used ({'; '.join(pairs[:3])})" if pairs else "right images"
    way_out = "add what the stereo pairs lack, or " if pairs else ""
    if not looked.is_sequential:
        short = max((len(clip.frames) for clip in looked.clips if not clip.independent), default=None)
        what = (
            "unrelated images" if short is None else f"{counted(short, 'consecutive frame')} at most, of the 3 needed,"
        )
        raise InputError(
            f"{path}: holds {what} without {without} and without measured depth, so that nothing teaches depth; "
            f"{way_out}give a longer video, or frames in the order of time"
        )
    if looked.static == 1:
        raise InputError(
            f"{path}: the camera never moves, and there are no {without}, so that nothing teaches depth; {way_out}give "
            f"frames of a moving camera (see packdepth data check)"
        )


def _device(device: Literal["auto", "cpu", "gpu"]) -> tuple[Literal["cpu", "gpu"], int]:
    """Return the accelerator and the number of processes."""
    import torch

    has_gpu = torch.cuda.is_available()
    if device == "gpu" and not has_gpu:
        raise InputError(
            "--device gpu: this machine has none; run init on the machine that trains, or use --device cpu"
        )
    if device == "cpu" or not has_gpu:
        return "cpu", min(cores(), MAX_PROCESSES)
    return "gpu", 1


def _slowdown(timed: Sequence[StepTime], processes: int) -> float:
    """Return how many times as long a training takes beside what runs now, by the steps that were timed.

    One process was timed. Where it had to wait for other work, the others that train wait for their share, too.
    """
    slowdown = max(median(step.slowdown for step in timed), 1.0)
    return slowdown if slowdown <= BUSY else slowdown + (processes - 1) / cores()


def _headline(source: Path, minutes: float, left_out: Sequence[str], pairs: Sequence[str]) -> str:
    """Return the comment at the top of the run file."""
    lines = [
        f"Written by `packdepth init {source} --minutes {minutes:g}`. Change what you like; the values and their",
        "reasons are explained in docs/reference/run_file.md and docs/how-to/settings.md; `packdepth --help` says",
        "where these pages are.",
        *(["Left out:"] if left_out else []),
        *(f"  {reason}" for reason in left_out),
        *(["Stereo pairs are not used, as some clips lack what they need:"] if pairs else []),
        *(f"  {reason}" for reason in pairs),
    ]
    return "\n".join(lines)
