"""Trainings of a study that run side by side, each in a process of one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import yaml

from packdepth import checkpoint
from packdepth.config import parse_run
from packdepth.errors import InputError
from packdepth.files import make_folder, replacing
from packdepth.progress import LINE_SECONDS, clock
from packdepth.training.elsewhere import finished_epochs, is_finished, train_elsewhere
from packdepth.workers import worker_pool

T = TypeVar("T")
R = TypeVar("R")


def train_side_by_side(runs: Mapping[Path, dict[str, Any]], processes: int, use: Sequence[str] = ()) -> None:
    """Train several runs, each into its own folder. A run that its folder holds already is skipped.

    The run file and the output of the training are written beside the folder, with the suffixes .yaml and .log. A
    training that ends with all its epochs but has collapsed is a result like others, and is printed.

    Args:
        runs: contents of run files by folder.
        processes: number of trainings at a time.
        use: modules that the runs need, as on the command line. This process has imported them already.

    Raises InputError if a training fails; trainings that have not begun by then are canceled.
    """
    stop = Event()
    todo = {folder: values for folder, values in runs.items() if not _is_finished(folder, values)}
    begun = time.monotonic()
    with ThreadPoolExecutor(processes) as pool:
        futures = {pool.submit(_train, folder, values, use, stop): folder for folder, values in todo.items()}
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


def in_processes(function: Callable[[T], R], values: Sequence[T], processes: int) -> list[R]:
    """Return what a function returns for each value, computed in several processes or, with one, in this one.

    Args:
        function: a function that can be pickled.
        values: the values, which can be pickled.
        processes: number of processes.

    >>> in_processes(abs, [-1, 2], processes=1)
    [1, 2]
    """
    if processes == 1:
        return [function(value) for value in values]
    with worker_pool(processes) as pool:
        return list(pool.map(function, values))


def _is_finished(folder: Path, values: dict[str, Any]) -> bool:
    """Return whether a folder holds the finished training of a run."""
    run = parse_run(values, "study")
    if not is_finished(folder, run.training.epochs):
        return False
    return checkpoint.read_description(folder / "last")[0] == run


def _train(folder: Path, values: dict[str, Any], use: Sequence[str], stop: Event) -> None:
    """Train a run in a process of its own."""
    make_folder(folder.parent)
    run_file = folder.with_name(f"{folder.name}.yaml")
    with replacing(run_file) as temporary:
        temporary.write_text(yaml.safe_dump(values, sort_keys=False))
    try:
        train_elsewhere(run_file, folder, log=folder.with_name(f"{folder.name}.log"), use=use, stop=stop)
    except InputError as error:
        if finished_epochs(folder) < parse_run(values, "study").training.epochs:
            raise
        print(f"{error}; all its epochs are trained, so that it counts as it is", flush=True)
