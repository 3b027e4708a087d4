"""Training in two stages, `packdepth train --two-stage`. A filter drops frames before the second stage.

The filter drops frames for which the first network predicts infinite depth, as it does for cars at the same speed.

    OUTPUT/stage1   the training on all frames
    OUTPUT/ground   results of the filter for each source: 0/kept.txt, 0/counts.csv, 0/dropped.jpg, ...
    OUTPUT/stage2   the training on the kept frames, from scratch; stage2.yaml is its run file

Source: Guizilini et al., ICLR 2020, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from packdepth.checkpoint import TRAINER_STATE
from packdepth.config import Run, dump_run, load_run
from packdepth.data.filters import moving
from packdepth.disk import recover, sweep
from packdepth.errors import InputError
from packdepth.files import replacing
from packdepth.inference.ground import KEPT, filter_ground
from packdepth.ownership import owned
from packdepth.training.elsewhere import finished_epochs, is_finished, train_elsewhere
from packdepth.training.run import train


def train_two_stage(
    run_file: Path,
    output: Path,
    overrides: tuple[str, ...] = (),
    resume: bool = False,
    use: Sequence[str] = (),
) -> None:
    """Train the networks of a run file in two stages.

    Args:
        run_file: the run file (YAML), in the format of packdepth.config.Run.
        output: folder for both stages.
        overrides: values to change in the run file, such as "training.epochs=5".
        resume: continue where an earlier call was interrupted, in any stage.
        use: files or modules that the command line names with --use, for stages that run in subprocesses.

    Raises InputError as `train` does, and if the filter drops all frames.
    """
    with owned(output):
        _train_two_stage(run_file, output, overrides, resume, use)


def _train_two_stage(
    run_file: Path, output: Path, overrides: tuple[str, ...], resume: bool, use: Sequence[str]
) -> None:
    """Train in two stages in a folder that this process owns."""
    run = load_run(run_file, overrides)
    first, second = output / "stage1", output / "stage2"
    if not resume and (_resumable(first) or _resumable(second)):
        raise InputError(f"{output}: holds a run already; go on with --resume, or give another --output")
    _train(run, run_file, first, overrides, use)
    kept = [output / "ground" / str(index) / KEPT for index in range(len(run.data.train))]
    for source, path in zip(run.data.train, kept, strict=True):
        sweep(path.parent)
        if not (resume and path.exists()):
            clips = moving(source.clips(), run.data.drop_static)
            both = filter_ground(first / "best", clips, path.parent, context=run.data.context)
            frames = [len(part) for part in both]
            print(f"ground     {frames[1]} of {sum(frames)} frames dropped: {path.parent}", flush=True)
    sources = [source.restricted_to(path) for source, path in zip(run.data.train, kept, strict=True)]
    stage = run.model_copy(update={"data": run.data.model_copy(update={"train": sources})})
    with replacing(output / "stage2.yaml") as temporary:
        temporary.write_text(dump_run(stage))
    _train(stage, output / "stage2.yaml", second, use=use)


def _train(run: Run, run_file: Path, stage: Path, overrides: tuple[str, ...] = (), use: Sequence[str] = ()) -> None:
    """Train a stage, or continue it, unless it is finished.

    A stage with several processes runs in a subprocess, because Lightning starts further processes by repeating the
    command of the first one.
    """
    if _finished(stage, run):
        return
    if run.training.devices * run.training.nodes == 1:
        train(run_file, stage, resume=_resumable(stage), overrides=overrides)
    else:
        train_elsewhere(run_file, stage, overrides, use=use)
    if finished_epochs(stage) < run.training.epochs:
        raise InputError(
            f"{stage}: its training ended after {finished_epochs(stage)} of {run.training.epochs} epochs; go on with "
            f"--resume"
        )


def _resumable(stage: Path) -> bool:
    """Return whether a stage has finished an epoch."""
    recover(stage / "last")
    return (stage / "last" / TRAINER_STATE).is_file()


def _finished(stage: Path, run: Run) -> bool:
    """Return whether a stage has finished all its epochs."""
    return is_finished(stage, run.training.epochs)
