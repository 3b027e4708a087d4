"""`packdepth train --two-stage`: train, drop the frames with infinite depth, train again on the others.

    OUTPUT/stage1   the run on all frames
    OUTPUT/ground   of each source, what the filter found: 0/kept.txt, 0/counts.csv, 0/dropped.jpg, ...
    OUTPUT/stage2   the run on the frames that were kept, from scratch; stage2.yaml is its run file

Source: Guizilini et al., ICLR 2020, section 4.
"""

from __future__ import annotations

from pathlib import Path

from packdepth.checkpoint import read_description
from packdepth.config import Run, dump_run, load_run
from packdepth.files import replacing
from packdepth.inference.ground import KEPT, filter_ground
from packdepth.training.checkpoints import TRAINER_STATE
from packdepth.training.run import train


def train_two_stage(run_file: Path, output: Path, overrides: tuple[str, ...] = (), resume: bool = False) -> None:
    """Train the networks of a run file in two stages.

    Args:
        run_file: YAML, see packdepth.config.Run.
        output: folder for both stages.
        overrides: such as "training.epochs=5".
        resume: go on where an earlier call was interrupted, whatever it was at.

    Raises InputError as `train` does, and if the filter would keep no frame.
    """
    run = load_run(run_file, overrides)
    first, second = output / "stage1", output / "stage2"
    if not (resume and _finished(first, run)):
        train(run_file, first, overrides, resume and _resumable(first))
    kept = [output / "ground" / str(index) / KEPT for index in range(len(run.data.train))]
    for source, path in zip(run.data.train, kept, strict=True):
        if not (resume and path.exists()):
            frames = [len(part) for part in filter_ground(first / "best", source.clips(), path.parent)]
            print(f"ground     {frames[1]} of {sum(frames)} frames dropped: {path.parent}", flush=True)
    sources = [
        source.model_copy(update={"split_file": path}) for source, path in zip(run.data.train, kept, strict=True)
    ]
    stage = run.model_copy(update={"data": run.data.model_copy(update={"train": sources})})
    with replacing(output / "stage2.yaml") as temporary:
        temporary.write_text(dump_run(stage))
    if not (resume and _finished(second, stage)):
        train(output / "stage2.yaml", second, (), resume and _resumable(second))


def _resumable(stage: Path) -> bool:
    """Whether a stage has finished an epoch."""
    return (stage / "last" / TRAINER_STATE).is_file()


def _finished(stage: Path, run: Run) -> bool:
    """Whether a stage has finished all its epochs."""
    return _resumable(stage) and read_description(stage / "last")[1].epoch >= run.training.epochs
