"""Trainings of a study that run side by side, each in a process of one thread."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import Any

import yaml

from packdepth import checkpoint
from packdepth.config import parse_run
from packdepth.files import make_folder, replacing
from packdepth.progress import LINE_SECONDS, clock
from packdepth.training.elsewhere import is_finished, train_elsewhere


def train_side_by_side(runs: Mapping[Path, dict[str, Any]], processes: int) -> None:
    """Train several runs, each into its own folder. A run that its folder holds already is skipped.

    The run file and the output of the training are written beside the folder, with the suffixes .yaml and .log.

    Args:
        runs: contents of run files by folder.
        processes: number of trainings at a time.

    Raises InputError if a training fails; trainings that have not begun by then are canceled.
    """
    stop = Event()
    todo = {folder: values for folder, values in runs.items() if not _is_finished(folder, values)}
    begun = time.monotonic()
    with ThreadPoolExecutor(processes) as pool:
        futures = {pool.submit(_train, folder, values, stop): folder for folder, values in todo.items()}
        try:
            pending: set[Future[None]] = set(futures)
            while pending:
                finished, pending = wait(pending, LINE_SECONDS, FIRST_COMPLETED)
                done, passed = len(todo) - len(pending), time.monotonic() - begun
                for future in finished:
                    future.result()
                    left = clock(passed / done * len(pending))
                    print(f"trained {futures[future]}: {done} of {len(todo)}, about {left} left", flush=True)
                if not finished:
                    print(f"training: {done} of {len(todo)} are done after {clock(passed)}", flush=True)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _is_finished(folder: Path, values: dict[str, Any]) -> bool:
    """Return whether a folder holds the finished training of a run."""
    run = parse_run(values, "study")
    if not is_finished(folder, run.training.epochs):
        return False
    return checkpoint.read_description(folder / "last")[0] == run


def _train(folder: Path, values: dict[str, Any], stop: Event) -> None:
    """Train a run in a process of its own."""
    make_folder(folder.parent)
    run_file = folder.with_name(f"{folder.name}.yaml")
    with replacing(run_file) as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False))
    train_elsewhere(run_file, folder, log=folder.with_name(f"{folder.name}.log"), stop=stop)
